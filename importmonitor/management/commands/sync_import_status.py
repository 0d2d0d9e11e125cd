"""`manage.py sync_import_status`: poll Rocket.Chat's imports and store what changed."""

import gc
import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from django.core.management import CommandError

from importmonitor import conf
from importmonitor.logs import get_logger
from importmonitor.management.arguments import (
    EXIT_FAILED,
    EXIT_MISUSED,
    add_workspace_argument,
    check_workspaces,
    select_workspaces,
)
from importmonitor.management.base import ProcessCommand
from importmonitor.management.output import ResultWriter, json_line, text_line
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.ends import is_settled
from importmonitor.sync.heartbeat import Heartbeat
from importmonitor.sync.poll import (
    PollFailure,
    SyncResult,
    database_errors,
    poll_workspace,
    sync_workspace,
)
from importmonitor.sync.register import register_configured
from importmonitor.sync.reminders import review_and_deliver

logger = get_logger(__name__)

#: The last result by alias; None after a PollFailure.
Results = dict[str, SyncResult | None]

#: Exit status with --fail-on-import-error when an import failed, was interrupted or is stalled.
EXIT_IMPORT_FAILED = 3
#: Exit status after Ctrl-C, by the convention of shells.
EXIT_INTERRUPTED = 130
#: The default intervals of --watch with an active import and without one, in seconds.
INTERVAL = 30.0
IDLE_INTERVAL = 300.0

#: Set by the signals that end a process. What their handler raises is not enough: Python ignores it
#: where the signal arrives in a finalizer (`object.__del__`).
_interrupted = threading.Event()


def parse_seconds(text: str, longest: int = 86_400) -> float:
    """Return a number of seconds from a tenth up, at most a day; raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= longest:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to {longest}")
    return number


def parse_timeout(text: str) -> float:
    """Return a number of seconds, at most a year; raises ArgumentTypeError."""
    return parse_seconds(text, longest=365 * 86_400)


class Command(ProcessCommand):
    help = (
        "Poll the current import operation of each Rocket.Chat workspace and store what changed; "
        "with --watch, continuously. Exit status: 0 all workspaces were polled, 1 one or more "
        "could not be polled or --timeout is over, 2 wrong usage or configuration, 3 with "
        "--fail-on-import-error: an import failed, was interrupted or is stalled, 130 interrupted "
        "before the end."
    )
    # A project's system checks load its URLs, admin and DRF, and take as long as the whole poll
    # (benchmarks/). The settings that matter here are validated when they are read.
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process of its own; `call_command` does not use this."""
        # What is loaded now is needed until the end: searching it for garbage, again when the
        # interpreter exits, takes longer than the poll (benchmarks/startup.py).
        gc.freeze()
        handle_signals()
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            # Ctrl-C or another signal. The lease has been released on the way here.
            sys.exit(EXIT_INTERRUPTED)

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_workspace_argument(parser)
        add = parser.add_argument
        add("--watch", action="store_true", help="keep polling until Ctrl-C or SIGTERM")
        add(
            "--interval",
            type=parse_seconds,
            metavar="S",
            help="with --watch: seconds between polls while an import is active (default: 30)",
        )
        add(
            "--idle-interval",
            type=parse_seconds,
            metavar="S",
            help="with --watch: seconds between polls while no import is active (default: 300)",
        )
        add(
            "--until-finished",
            action="store_true",
            help="with --watch: exit when no import is active in any of the workspaces; with 1, if "
            "Rocket.Chat has refused a workspace's token for UNREACHABLE_AFTER",
        )
        add(
            "--timeout",
            type=parse_timeout,
            metavar="S",
            help="with --watch: exit with 1 after so many seconds (default: no limit)",
        )
        add("--dry-run", action="store_true", help="show what would change, but write nothing")
        add(
            "--format",
            choices=("text", "json"),
            default="text",
            help="json: one object per workspace, each on a line (default: text)",
        )
        add(
            "--fail-on-import-error",
            action="store_true",
            help="exit with 3 if an import failed, was interrupted or is stalled",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        validate_options(options)
        names = list(dict.fromkeys(options["workspace"]))
        writer = ResultWriter(
            self.stdout,
            self.stderr,
            json_line if options["format"] == "json" else text_line,
            quiet=options["verbosity"] == 0,
        )
        if options["watch"]:
            check_workspaces(names)
            results = watch_workspaces(options, names, writer)
        else:
            results = poll_round(names, writer, dry_run=options["dry_run"])
        if not all(result is not None and result.ok for result in results.values()):
            sys.exit(EXIT_FAILED)
        if options["fail_on_import_error"] and any(
            result is not None and result.operation is not None and result.operation.needs_attention
            for result in results.values()
        ):
            sys.exit(EXIT_IMPORT_FAILED)


def handle_signals() -> None:
    """Have the signals that end a process do what Ctrl-C does, so that leases are released."""
    # Windows has neither SIGHUP nor SIGQUIT.
    names = ("SIGTERM", "SIGHUP", "SIGQUIT")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # `nohup` ignores SIGHUP, and a shell SIGQUIT for what it runs in the background.
    handled = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]

    def interrupt(_number: int, _frame: object) -> None:
        # A terminal that is closed sends SIGHUP twice; the second must not interrupt the release.
        for number in handled:
            signal.signal(number, signal.SIG_IGN)
        _interrupted.set()
        raise KeyboardInterrupt

    for number in handled:
        signal.signal(number, interrupt)


def validate_options(options: dict[str, Any]) -> None:
    """Raise CommandError for options that need another option, or exclude one."""
    if options["watch"]:
        if options["dry_run"]:
            raise CommandError("--dry-run cannot be used with --watch.", returncode=EXIT_MISUSED)
        if options["fail_on_import_error"] and not options["until_finished"]:
            raise CommandError(
                "--watch with --fail-on-import-error also needs --until-finished.",
                returncode=EXIT_MISUSED,
            )
        return
    for name in ("interval", "idle_interval", "until_finished", "timeout"):
        if options[name]:
            option = f"--{name.replace('_', '-')}"
            raise CommandError(f"{option} can only be used with --watch.", returncode=EXIT_MISUSED)


def poll_round(names: list[str], writer: ResultWriter, *, dry_run: bool) -> Results:
    """Poll each of these workspaces, or all, once."""
    workspaces = select_workspaces(names)
    if dry_run:
        return poll_selected(workspaces, writer, dry_run=True)
    if not names:
        register_configured()
    heartbeat = Heartbeat()
    heartbeat.start_round()
    results = poll_selected(workspaces, writer, dry_run=False)
    heartbeat.end_round(results)
    heartbeat.finish()
    return results


def poll_selected(
    workspaces: Sequence[WorkspaceConfig], writer: ResultWriter, *, dry_run: bool
) -> Results:
    """Poll each workspace once."""
    if len(workspaces) == 1:
        # Without threads and their imports: cron runs this every minute.
        return poll_one(workspaces[0], writer, dry_run=dry_run)
    return poll_all(workspaces, writer, dry_run=dry_run)


def poll_one(workspace: WorkspaceConfig, writer: ResultWriter, *, dry_run: bool) -> Results:
    """Poll one workspace in this thread."""
    result: SyncResult | PollFailure
    try:
        result = sync_workspace(workspace, dry_run=dry_run)
    except database_errors() as error:
        result = PollFailure(workspace.alias, error)
    if not dry_run:
        review_and_deliver()
    return {workspace.alias: writer.write(result)}


def poll_all(
    workspaces: Sequence[WorkspaceConfig], writer: ResultWriter, *, dry_run: bool
) -> Results:
    """Poll workspaces concurrently."""
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.courier import Courier
    from importmonitor.sync.pool import Pool, poll_once

    def poll(workspace: WorkspaceConfig) -> SyncResult:
        with Client(workspace) as client:
            return poll_workspace(workspace, client=client, dry_run=dry_run)

    last: Results = {}
    alerts_due = False
    polls = {workspace.alias: partial(poll, workspace) for workspace in workspaces}
    with closing(poll_once(polls, Pool())) as results:
        for result in results:
            last[result.workspace] = writer.write(result)
            alerts_due |= needs_delivery(result)
    if not dry_run:
        review_and_deliver()
    if alerts_due:
        # After all polls: an outage of several workspaces is one message.
        courier = Courier()
        courier.wake()
        courier.finish()
    return last


def needs_delivery(result: "SyncResult | PollFailure") -> bool:
    """Return whether alerts are due after a poll; also after one that ended in a bug."""
    return isinstance(result, PollFailure) or result.alerts_due


def watch_workspaces(
    options: dict[str, Any], names: Sequence[str], writer: ResultWriter
) -> Results:
    """Poll until Ctrl-C or SIGTERM, or with --until-finished until no import is active.

    Return the last results, which only --until-finished needs. Raises CommandError, with exit
    status 1, when the timeout is over, and with --until-finished when Rocket.Chat has refused a
    workspace's token for too long: waiting would not help.
    """
    from importmonitor.management.limits import WatchLimits
    from importmonitor.management.progress import result_display
    from importmonitor.sync.courier import Courier
    from importmonitor.sync.fleet import Fleet
    from importmonitor.sync.pool import Pool
    from importmonitor.sync.watch import watch

    until_finished = options["until_finished"]
    interval = options["interval"] or INTERVAL
    idle_interval = options["idle_interval"] or IDLE_INTERVAL
    last: Results = {}
    courier, heartbeat = Courier(), Heartbeat()
    reason = ""
    fleet = Fleet(names, spread=idle_interval, longest=max(interval, idle_interval))
    patience = conf.get_options().unreachable_after if until_finished else None
    limits = WatchLimits(fleet, options["timeout"], patience)

    def ends_at() -> float:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        return limits.ends_at()

    results = watch(
        fleet,
        Pool(),
        interval=interval,
        idle_interval=idle_interval,
        at_once=until_finished,
        ends_at=ends_at,
    )
    try:
        heartbeat.start_round()
        with closing(results), result_display(writer, fleet.some()) as write:
            unfinished = set(fleet.aliases()) if until_finished else set()
            for poll_result in results:
                alias, result = poll_result.workspace, write(poll_result)
                if needs_delivery(poll_result):
                    courier.wake()
                limits.note(alias, result)
                heartbeat.note(alias, result, len(fleet))
                if until_finished:
                    last[alias] = result
                    (unfinished.discard if is_finished(result) else unfinished.add)(alias)
                    if not any(alias in fleet for alias in unfinished):
                        break
            else:
                reason = limits.reason()
        courier.finish()
        heartbeat.finish()
    except KeyboardInterrupt:
        if until_finished:
            raise
        # The usual end of --watch.
        return {}
    finally:
        courier.stop()
    if reason:
        raise CommandError(reason, returncode=EXIT_FAILED)
    return last


def is_finished(result: SyncResult | None) -> bool:
    """Return whether a poll has shown that no import is active."""
    if result is None or not result.ok or result.skipped is not None:
        return False
    return is_settled(result.operation, result.polled_at)
