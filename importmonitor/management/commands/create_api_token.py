"""`manage.py create_api_token`: create an API token for an internal tool."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from importmonitor import conf
from importmonitor.management.arguments import EXIT_MISUSED, parse_days
from importmonitor.management.base import Output, ProcessCommand
from importmonitor.models import ApiToken, Viewer
from importmonitor.models.tokens import find_user
from importmonitor.permissions import RUN_IMPORT, VIEW, VIEW_LATEST, can_view_imports, has_perm


class Command(ProcessCommand):
    help = (
        "Create an API token for a user and show it once: only its digest is stored. The user "
        "needs importmonitor.run-import for Rocket.Chat's endpoints and the REST API, or "
        "importmonitor.view_importoperation for the REST API alone."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="the Django user who owns the token")
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument(
            "--days", type=parse_days, help="how long it is valid (default: no limit)"
        )
        parser.add_argument(
            "--workspace",
            action="append",
            metavar="ALIAS",
            help="limit it to this workspace; can be repeated (default: all that the user may see)",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = find_user(options["username"])
        if user is None:
            raise CommandError(
                f"There is no user {options['username']!r}. Create one in the admin, or with "
                "`manage.py createsuperuser`."
            )
        _validate(options)
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        token, text = ApiToken.objects.issue(
            user, name=options["name"], expires_at=expires_at, workspaces=options["workspace"]
        )
        if options["format"] == "json":
            values = {
                "user_id": str(user.pk),
                "token": text,
                "name": options["name"],
                "expires_at": expires_at,
                "workspaces": token.workspaces,
            }
            self.stdout.write(json.dumps(values, cls=DjangoJSONEncoder))
        else:
            self.stdout.write(f"X-User-Id: {user.pk}\nX-Auth-Token: {text}")
        if isinstance(self.stdout, Output) and self.stdout.has_failed:
            token.delete()
            raise CommandError("stdout could not be written to, so no token was created.")
        for note in _notes(token, is_text=options["format"] == "text"):
            self.stderr.write(note, style_func=str)


def _validate(options: dict[str, Any]) -> None:
    if len(options["name"]) > ApiToken.NAME_LENGTH:
        raise CommandError(
            f"--name may have at most {ApiToken.NAME_LENGTH} characters.", returncode=EXIT_MISUSED
        )
    names = set(options["workspace"] or ())
    if unknown := names - conf.find_configured(names):
        raise CommandError(f"There is no workspace {min(unknown)!r}.", returncode=EXIT_MISUSED)


def _notes(token: ApiToken, *, is_text: bool) -> Iterator[str]:
    """Yield what the token does not give access to; in text output, more about it."""
    user, expires_at = token.user, token.expires_at
    if is_text:
        validity = f"is valid until {expires_at:%Y-%m-%d}" if expires_at else "does not expire"
        yield f"The token is shown only once and {validity}."
    if not user.is_active:
        yield "This user is inactive; the token will not work."
        return
    if not can_view_imports(user):
        yield (
            "The user may not see imports; every request will be refused (403). Grant "
            f"{RUN_IMPORT} for Rocket.Chat's endpoints and the REST API, or {VIEW} for the "
            "REST API alone."
        )
    elif is_text and not has_perm(user, RUN_IMPORT):
        # Not a problem if nothing else is needed, so scripts that read JSON do not get it.
        latest = " and getLatestImportOperations" if has_perm(user, VIEW_LATEST) else ""
        yield (
            f"The token gives access to the REST API{latest}. For Rocket.Chat's other "
            f"endpoints the user would need {RUN_IMPORT}."
        )
    viewer = Viewer(user, token)
    if hidden := [alias for alias in token.workspaces or () if not viewer.may_see(alias)]:
        yield f"The user is in no group that may see {', '.join(hidden)}."
