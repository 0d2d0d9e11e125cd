"""`manage.py create_api_token`: make a credential for an internal tool."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from importmonitor.conf.options import MAX_DAYS
from importmonitor.models import ApiToken
from importmonitor.permissions import RUN_IMPORT, VIEW, VIEW_LATEST, can_view_imports, has_perm


def days(text: str) -> int:
    """Read a number of days; raises ArgumentTypeError."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MAX_DAYS}")
    return int(text)


class Command(BaseCommand):
    help = (
        "Make an API token for a user and show it, once: only a digest of it is stored. The user "
        "needs importmonitor.run-import for Rocket.Chat's endpoints and the REST API, or "
        "importmonitor.view_importoperation for the REST API alone."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="the Django user that the token acts for")
        parser.add_argument("--name", default="", help="what it is for, to tell it from others")
        parser.add_argument("--days", type=days, help="how long it lasts (default: for ever)")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users.objects.get_by_natural_key(options["username"])
        except (users.DoesNotExist, UnicodeError):
            raise CommandError(
                f"There is no user {options['username']!r}. Make one in the admin, or with "
                "`manage.py createsuperuser`."
            ) from None
        if len(options["name"]) > ApiToken.NAME_LENGTH:
            raise CommandError(
                f"--name may have at most {ApiToken.NAME_LENGTH} characters.", returncode=2
            )
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        _token, text = ApiToken.objects.issue(user, name=options["name"], expires_at=expires_at)
        if options["format"] == "json":
            told = {
                "user_id": str(user.pk),
                "token": text,
                "name": options["name"],
                "expires_at": expires_at,
            }
            self.stdout.write(json.dumps(told, cls=DjangoJSONEncoder))
        else:
            self.stdout.write(f"X-User-Id: {user.pk}\nX-Auth-Token: {text}")
        notes = []
        if options["format"] == "text":
            until = f"until {expires_at:%Y-%m-%d}" if expires_at else "for ever"
            notes.append(f"It is shown this once, and good {until}.")
        if not user.is_active:
            notes.append("The user is not active, so it is of no use yet.")
        elif not can_view_imports(user):
            notes.append(
                "The user may not see imports, so every answer will be a refusal (403): give them "
                f"{RUN_IMPORT} for Rocket.Chat's endpoints and the REST API, or {VIEW} for the "
                "REST API alone."
            )
        elif options["format"] == "text" and not has_perm(user, RUN_IMPORT):
            # No trouble where nothing else is wanted, so a script that reads JSON is not told.
            both = " and getLatestImportOperations" if has_perm(user, VIEW_LATEST) else ""
            notes.append(
                f"It opens the REST API{both}. For Rocket.Chat's other endpoints the user would "
                f"need {RUN_IMPORT}."
            )
        for note in notes:
            self.stderr.write(note, style_func=str)
