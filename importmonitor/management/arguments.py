"""What the commands that look at workspaces have in common."""

from argparse import ArgumentParser

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError

from importmonitor import conf
from importmonitor.rocketchat.config import WorkspaceConfig

#: Exit statuses: some workspace could not be looked at; bad usage or configuration.
FAILED = 1
MISUSED = 2


def add_workspace_argument(parser: ArgumentParser) -> None:
    """Add `--workspace ALIAS`, which may be given several times."""
    parser.add_argument(
        "--workspace",
        action="append",
        metavar="ALIAS",
        default=[],
        help="look at this workspace only; may be given several times (default: all)",
    )


def select_workspaces(aliases: list[str]) -> list[WorkspaceConfig]:
    """Return the workspaces of these aliases, or all if there are none.

    Raises CommandError, with exit status 2, for an alias that is not configured, for a mistake in
    the settings, and when nothing is configured at all.
    """
    try:
        configured = conf.config().workspaces
        if not configured:
            raise CommandError(
                "No workspace is configured. Set ROCKETCHAT_URL, ROCKETCHAT_USER_ID and "
                "ROCKETCHAT_AUTH_TOKEN, or fill IMPORTMONITOR['WORKSPACES'].",
                returncode=MISUSED,
            )
        if unknown := [alias for alias in aliases if alias not in configured]:
            # It names those that there are.
            conf.workspace(unknown[0])
        return [configured[alias] for alias in dict.fromkeys(aliases or configured)]
    except (ImproperlyConfigured, conf.UnknownWorkspace) as error:
        raise CommandError(str(error), returncode=MISUSED) from None


def printable(text: str) -> str:
    """Return remote text that cannot move a terminal's cursor or begin a line of its own."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
