"""What the commands share: exit statuses, arguments, and the workspaces they select."""

import re
from argparse import ArgumentParser, ArgumentTypeError

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError

from importmonitor import conf
from importmonitor.conf.options import MAX_DAYS
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
    try:
        configured = conf.get_config().workspaces
        if not configured:
            raise CommandError(
                "No workspace is configured. Set ROCKETCHAT_URL, ROCKETCHAT_USER_ID and "
                "ROCKETCHAT_AUTH_TOKEN, or fill IMPORTMONITOR['WORKSPACES'].",
                returncode=EXIT_MISUSED,
            )
        if unknown := [alias for alias in aliases if alias not in configured]:
            # Raises UnknownWorkspace, which lists the configured ones.
            conf.get_workspace(unknown[0])
        return [configured[alias] for alias in dict.fromkeys(aliases or configured)]
    except (ImproperlyConfigured, conf.UnknownWorkspace) as error:
        raise CommandError(str(error), returncode=EXIT_MISUSED) from None


def parse_days(text: str) -> int:
    """Return a number of days, written like 30 or 30d; raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,9})d?", text)
    if match is None or not 1 <= int(match[1]) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MAX_DAYS}")
    return int(match[1])
