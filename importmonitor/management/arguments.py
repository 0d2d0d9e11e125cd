"""What the commands share: exit statuses, arguments, and the workspaces they select."""

import getpass
import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.utils import timezone

from importmonitor import conf
from importmonitor.conf.options import MAX_DAYS
from importmonitor.models.incidents import MAX_HOURS, MAX_NOTE_LENGTH
from importmonitor.rocketchat.config import WorkspaceConfig

#: Exit status when a workspace could not be polled, or a channel did not accept a message.
EXIT_FAILED = 1
#: Exit status for wrong usage or configuration.
EXIT_MISUSED = 2


def add_workspace_argument(parser: ArgumentParser) -> None:
    """Add `--workspace ALIAS`, which can be repeated."""
    parser.add_argument(
        "--workspace",
        action="append",
        metavar="ALIAS",
        default=[],
        help="only this workspace; can be repeated (default: all)",
    )


def select_workspaces(aliases: list[str]) -> list[WorkspaceConfig]:
    """Return the workspaces with these aliases, or all workspaces if there are no aliases.

    Raises CommandError, with exit status 2, for an alias that is not configured, for a mistake in
    the settings, and if no workspace is configured.
    """
    check_workspaces(aliases)
    workspaces = conf.get_workspaces()
    return [workspaces[alias] for alias in dict.fromkeys(aliases or workspaces)]


def check_workspaces(aliases: list[str]) -> None:
    """Raise the CommandErrors of `select_workspaces`, and keep no workspace in memory."""
    try:
        conf.check()
        if not conf.get_workspaces():
            raise CommandError(
                "No workspace is configured. Set ROCKETCHAT_URL, ROCKETCHAT_USER_ID and "
                "ROCKETCHAT_AUTH_TOKEN, or fill IMPORTMONITOR['WORKSPACES'].",
                returncode=EXIT_MISUSED,
            )
        for alias in aliases:
            # Raises UnknownWorkspace, which lists the configured ones.
            conf.get_workspace(alias)
    except (ImproperlyConfigured, conf.UnknownWorkspace) as error:
        raise CommandError(str(error), returncode=EXIT_MISUSED) from None


def parse_days(text: str) -> int:
    """Return a number of days, written like 30 or 30d; raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,9})d?", text)
    if match is None or not 1 <= int(match[1]) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MAX_DAYS}")
    return int(match[1])


def add_reason_arguments(parser: ArgumentParser) -> None:
    """Add `--note` and `--by`, which are shown with an acknowledgement or maintenance."""
    parser.add_argument("--note", type=parse_note, default="", help="the reason")
    parser.add_argument(
        "--by",
        type=parse_name,
        default=user_name(),
        metavar="NAME",
        help="who does it (default: the user of the system, %(default)s)",
    )


def user_name() -> str:
    """Return the name of the system's user, "" if it has none."""
    try:
        return getpass.getuser()[:150]
    except (KeyError, OSError, ImportError):
        return ""


def parse_note(text: str) -> str:
    """Return a reason; raises ArgumentTypeError."""
    if len(text) > MAX_NOTE_LENGTH:
        raise ArgumentTypeError(f"a note may have at most {MAX_NOTE_LENGTH} characters")
    return text


def parse_name(text: str) -> str:
    """Return a name; raises ArgumentTypeError."""
    if len(text) > 150:
        raise ArgumentTypeError("a name may have at most 150 characters")
    return text


def parse_hours(text: str) -> float:
    """Return a number of hours; raises ArgumentTypeError."""
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) and 0 < float(text) <= MAX_HOURS:
        return float(text)
    raise ArgumentTypeError(f"{text!r} is not a number of hours up to {MAX_HOURS}")


def parse_time(text: str, after: datetime | None = None) -> datetime:
    """Return a time; raises ArgumentTypeError.

    A time of day, such as 22:00, is the next one after a time, by default now. Without a zone,
    times are in the site's.
    """
    now = timezone.localtime(after)
    try:
        if re.fullmatch(r"[0-9]{2}:[0-9]{2}", text):
            moment = datetime.combine(now.date(), datetime.strptime(text, "%H:%M").time())  # noqa: DTZ007 - made aware below
            if timezone.make_aware(moment) <= now:
                moment += timedelta(days=1)
        else:
            moment = datetime.fromisoformat(text)
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is no time, such as 2026-03-25T22:00 or 22:00") from None


def misuse(error: Any) -> CommandError:
    """Return the error of a command whose options cannot be used, with exit status 2."""
    text = " ".join(getattr(error, "messages", [str(error)]))
    return CommandError(text, returncode=EXIT_MISUSED)
