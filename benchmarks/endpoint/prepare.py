"""Prepares a database: one operation that a sync has stored, and a user who may see it.

    python -m benchmarks.endpoint.prepare

Prints the credentials as JSON. Runs in the project's environment.
"""

import json

import django


def main() -> None:
    """Prepare the database that the settings name."""
    django.setup()
    from django.contrib.auth.models import Permission, User
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    from importmonitor.models import ApiToken

    call_command("migrate", verbosity=0)
    call_command("sync_import_status", verbosity=0)
    user = User.objects.create_user("tool")
    user.user_permissions.add(Permission.objects.get(codename="run-import"))
    _token, text = ApiToken.objects.issue(user)
    told = {
        "ours": {"X-User-Id": str(user.pk), "X-Auth-Token": text},
        "textbook": {"Authorization": f"Token {Token.objects.create(user=user).key}"},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
