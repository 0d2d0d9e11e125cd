"""`manage.py sync_import_status`: look at Rocket.Chat's imports, and store what is new."""

import gc
import logging
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from django.core.management import BaseCommand, CommandError
from django.db import close_old_connections

from importmonitor.management.arguments import (
    FAILED,
    MISUSED,
    add_workspace_argument,
    select_workspaces,
)
from importmonitor.management.output import ResultWriter, json_line, text_line
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors, sync_workspace

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = logging.getLogger(__name__)

#: How each workspace was seen last, None where that came to no result.
Told = dict[str, SyncResult | None]

#: Exit status with --fail-on-import-error: all could be looked at, and an import is in trouble.
IMPORT_FAILED = 3
#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130
#: Seconds between two looks of a watch, while something is active and while nothing is.
INTERVAL = 30.0
IDLE_INTERVAL = 300.0


def seconds(text: str) -> float:
    """Read a number of seconds, from a tenth to a day; raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 86_400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 86400")
    return number


class Command(BaseCommand):
    help = (
        "Look at the current import operation of each Rocket.Chat workspace and store what is "
        "new; with --watch, over and over. Exit status: 0 all were looked at, 1 one or more could "
        "not be, 2 bad usage or configuration, 3 with --fail-on-import-error: an import failed, "
        "was interrupted or is stalled, 130 ended before it was through."
    )
    # The checks of a whole site load its URLs, its admin and DRF, and cost a cron command as much
    # as all that it does (benchmarks/). The settings that matter here are validated on use.
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process of its own, which `call_command` does not come through."""
        # What is loaded by now stays to the end: looking through it for garbage, last of all when
        # the interpreter ends, takes longer than the poll (benchmarks/startup.py).
        gc.freeze()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            # By Ctrl-C or SIGTERM. The lease has been given back on the way here.
            sys.exit(INTERRUPTED)

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_workspace_argument(parser)
        add = parser.add_argument
        add("--watch", action="store_true", help="go on looking until Ctrl-C or SIGTERM")
        add(
            "--interval",
            type=seconds,
            metavar="S",
            help="with --watch: seconds between two looks while something is active (default: 30)",
        )
        add(
            "--idle-interval",
            type=seconds,
            metavar="S",
            help="with --watch: seconds between two looks while nothing is (default: 300)",
        )
        add(
            "--until-finished",
            action="store_true",
            help="with --watch: end when no import is active in any of the workspaces",
        )
        add("--dry-run", action="store_true", help="show what would change and write nothing")
        add(
            "--format",
            choices=("text", "json"),
            default="text",
            help="json: one object a line for each workspace (default: text)",
        )
        add(
            "--fail-on-import-error",
            action="store_true",
            help="exit with 3 if an import failed, was interrupted or is stalled",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        validate_options(options)
        workspaces = select_workspaces(options["workspace"])
        writer = ResultWriter(
            self.stdout,
            self.stderr,
            json_line if options["format"] == "json" else text_line,
            quiet=options["verbosity"] == 0,
        )
        if options["watch"]:
            told = watch_workspaces(options, workspaces, writer)
        elif len(workspaces) == 1:
            # Without threads and what they need: this is what cron runs every minute.
            told = poll_one(workspaces[0], writer, dry_run=options["dry_run"])
        else:
            told = poll_all(workspaces, writer, dry_run=options["dry_run"])
        if not all(result is not None and result.ok for result in told.values()):
            sys.exit(FAILED)
        if options["fail_on_import_error"] and any(
            result is not None and result.operation is not None and result.operation.needs_attention
            for result in told.values()
        ):
            sys.exit(IMPORT_FAILED)


def validate_options(options: dict[str, Any]) -> None:
    """Raise CommandError for options that only mean something with others, or without them."""
    if options["watch"]:
        if options["dry_run"]:
            raise CommandError("--dry-run cannot be watched: leave out one.", returncode=MISUSED)
        if options["fail_on_import_error"] and not options["until_finished"]:
            raise CommandError(
                "A watch with --fail-on-import-error has to end: add --until-finished.",
                returncode=MISUSED,
            )
        return
    for name in ("interval", "idle_interval", "until_finished"):
        if options[name]:
            option = f"--{name.replace('_', '-')}"
            raise CommandError(f"{option} is for --watch: add that.", returncode=MISUSED)


def poll_one(workspace: WorkspaceConfig, writer: ResultWriter, *, dry_run: bool) -> Told:
    """Poll one workspace; return how it went by its alias, None if that was no result."""
    outcome: SyncResult | PollFailure
    try:
        outcome = sync_workspace(workspace, dry_run=dry_run)
    except database_errors() as error:
        outcome = PollFailure(workspace.alias, error)
    return {workspace.alias: writer.write(outcome)}


def poll_all(workspaces: Sequence[WorkspaceConfig], writer: ResultWriter, *, dry_run: bool) -> Told:
    """Poll workspaces side by side; return how each went, None for what was no result."""
    from importmonitor.sync.pool import Pool, poll_once

    def poll(workspace: WorkspaceConfig, client: "Client") -> SyncResult:
        return sync_workspace(workspace, client=client, dry_run=dry_run)

    with closing(poll_once(workspaces, Pool(poll))) as outcomes:
        return {outcome.workspace: writer.write(outcome) for outcome in outcomes}


def watch_workspaces(
    options: dict[str, Any], workspaces: Sequence[WorkspaceConfig], writer: ResultWriter
) -> Told:
    """Poll until Ctrl-C or SIGTERM, or until nothing is active; return how each went last."""
    from importmonitor.management.progress import display
    from importmonitor.sync.pool import Pool
    from importmonitor.sync.watch import watch

    wanted = list(workspaces)

    def read() -> Sequence[WorkspaceConfig]:
        # A mistake made in the settings meanwhile is no reason to stop looking.
        try:
            wanted[:] = select_workspaces(options["workspace"])
        except CommandError as error:
            logger.warning("%s", error)
        # A host may keep its workspaces in the database.
        close_old_connections()
        return wanted

    def poll(workspace: WorkspaceConfig, client: "Client") -> SyncResult:
        return sync_workspace(workspace, client=client)

    told: Told = {}
    outcomes = watch(
        read,
        Pool(poll),
        interval=options["interval"] or INTERVAL,
        idle_interval=options["idle_interval"] or IDLE_INTERVAL,
    )
    try:
        with closing(outcomes), display(writer, [each.alias for each in wanted]) as tell:
            for outcome in outcomes:
                told[outcome.workspace] = tell(outcome)
                each = [told.get(workspace.alias) for workspace in wanted]
                if options["until_finished"] and all(map(is_finished, each)):
                    break
    except KeyboardInterrupt:
        if options["until_finished"]:
            raise
        # The way for a watch to end.
        return {}
    return told


def is_finished(result: SyncResult | None) -> bool:
    """Tell whether a look has shown that no import is active."""
    if result is None or not result.ok or result.skipped is not None:
        return False
    return result.operation is None or not result.operation.is_active
