"""Use the app as a user of the model that the first argument names."""

import io
import os
import re
import sys
from typing import Any

import pytest

from tests import settings

settings.INSTALLED_APPS.append("tests.hosts.people")
settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.AUTH_USER_MODEL = f"people.{sys.argv[1]}"  # type: ignore[attr-defined] # Django's default
settings.STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django  # noqa: E402 - after the settings

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - after setup()
from django.core.management import CommandError, call_command  # noqa: E402 - as above
from django.test import Client  # noqa: E402 - as above
from django.test.utils import setup_test_environment  # noqa: E402 - as above

call_command("migrate", run_syncdb=True, verbosity=0)
setup_test_environment()

from importmonitor.models import ApiToken, ImportOperation  # noqa: E402 - as above
from tests.api.helpers import PATH, RUNNING, sync  # noqa: E402 - as above

users: Any = get_user_model()._default_manager
folder = "/admin/importmonitor/"


def check_api(user: Any) -> None:
    """Create a token by the command and use it everywhere."""
    out = io.StringIO()
    call_command("create_api_token", user.get_username(), stdout=out)
    headers = dict(line.split(": ") for line in out.getvalue().splitlines())
    assert headers["X-User-Id"] == str(user.pk)
    bearer = {"Authorization": f"Bearer {headers['X-Auth-Token']}"}
    client = Client()
    assert client.get(PATH, headers=headers).json()["operation"]["_id"] == RUNNING["_id"]
    for path in ("/api/import-operations/", "/api/workspaces/", "/metrics", "/api/schema/"):
        for credentials in (headers, bearer):
            assert client.get(path, headers=credentials).status_code == 200, path
    wrong = headers | {"X-User-Id": "7"}
    assert client.get(PATH, headers=wrong).status_code == 401
    with pytest.raises(CommandError, match="There is no user"):
        call_command("create_api_token", "unknown")


def check_admin(user: Any) -> None:
    """Open every page, and write what can be written."""
    client = Client()
    client.force_login(user)
    operation = ImportOperation.objects.get()
    token, _text = ApiToken.objects.issue(user, name="old")
    paths = [f"{model}/" for model in ("importoperation", "workspace", "alert", "apitoken")]
    paths += [f"importoperation/{operation.pk}/change/", f"apitoken/{token.pk}/change/"]
    for path in (*paths, "apitoken/add/", f"apitoken/{token.pk}/delete/", "apitoken/revoke/"):
        assert client.get(folder + path).status_code == 200, path
    fields = {"user": user.get_username(), "name": "new", "expires_at_0": "", "expires_at_1": ""}
    created = client.post(f"{folder}apitoken/add/", fields)
    assert re.search(rf'value="{user.pk}"', created.text), created.text
    for name in ("unknown", "a" * 300):
        refused = client.post(f"{folder}apitoken/add/", fields | {"user": name})
        assert "There is no user with this name." in refused.text
    noted = client.post(f"{folder}importoperation/{operation.pk}/change/", {"note": "mine"})
    assert noted.status_code == 302
    for path in (f"importoperation/{operation.pk}/history/", "importoperation/export/csv/"):
        assert client.get(folder + path).status_code == 200, path
    assert client.post(f"{folder}importoperation/sync/", follow=True).status_code == 200
    client.post(f"{folder}apitoken/revoke/", {"post": "yes"})
    assert not ApiToken.objects.filter(user=user).exists()


if __name__ == "__main__":
    sync(RUNNING)
    fields = {"is_staff": True, "is_superuser": True}
    if sys.argv[1] == "Person":
        user = users.create_person("ada@example.org", **fields)
    else:
        user = users.create(**fields)
    check_api(user)
    check_admin(user)
    print("all works")  # noqa: T201 - what the test reads
