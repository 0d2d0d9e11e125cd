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

from importmonitor.conf import MOST_DAYS
from importmonitor.models import ApiToken


def days(text: str) -> int:
    """Read a number of days; raises ArgumentTypeError."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MOST_DAYS}")
    return int(text)


class Command(BaseCommand):
    help = (
        "Make an API token for a user and show it, once: only a digest of it is stored. The user "
        "needs the permission importmonitor.run-import."
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
        elif not user.has_perm("importmonitor.run-import"):
            notes.append("The user lacks the permission importmonitor.run-import: give it to them.")
        for note in notes:
            self.stderr.write(note, style_func=str)
