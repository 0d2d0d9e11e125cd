"""The command `python -m simulator`: serves a workspace that starts one import after another.

With `--workspaces`, a fleet of them.
"""

import argparse
import random
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulator import fleet_server
from simulator.clock import Clock
from simulator.eras import Era
from simulator.fleet import FAILURES, MAX_SIZE, Failure, Fleet
from simulator.kinds import FINISHED, KINDS
from simulator.server import Server
from simulator.workspace import Workspace
from simulator.writes import ENDINGS, Ending

_PAUSE = timedelta(seconds=30)
_CHECK_INTERVAL = 0.2
#: What is about one workspace, or about a fleet, by the options' names; the defaults.
_OF_ONE = {"kind": "csv", "ending": "done", "rate_limit": 10}
_OF_FLEET = {
    "latency": 0.0,
    "jitter": 0.0,
    "active": 0.05,
    "failing": 0.0,
    "outage": 600.0,
    "failures": FAILURES,
    "log": None,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        arguments: the command line's; by default those of the process.

    Returns:
        The exit status: 0, or 2 if the port is not free or the options contradict each other.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    is_fleet = options.workspaces is not None
    for name, default in (_OF_ONE | _OF_FLEET).items():
        if getattr(options, name) is None:
            setattr(options, name, default)
        elif (name in _OF_ONE) == is_fleet:
            option = "--import" if name == "kind" else f"--{name.replace('_', '-')}"
            parser.error(f"{option} can only be used with{'out' * is_fleet} --workspaces")
    clock = Clock(datetime.now(UTC), options.speed)
    return _serve_fleet(options, clock) if is_fleet else _serve_one(options, clock)


def _serve_fleet(options: argparse.Namespace, clock: Clock) -> int:
    fleet = Fleet(
        options.workspaces,
        clock,
        options.seed,
        options.user_id,
        options.token,
        Era(options.era),
        False if options.integer_ts else None,
        clock_offset=options.clock_offset,
        seconds=options.seconds,
        active=options.active,
        failing=options.failing,
        outage=options.outage,
        failures=options.failures,
    )
    try:
        # A line at a time: it can be read while the fleet is served.
        with options.log.open("w", buffering=1) if options.log else nullcontext() as log:
            fleet_server.run(
                fleet,
                options.host,
                options.port,
                latency=options.latency / 1000,
                jitter=options.jitter / 1000,
                log=log,
            )
    except (OSError, OverflowError) as error:
        return _cannot_serve(options.port, error)
    return 0


def _serve_one(options: argparse.Namespace, clock: Clock) -> int:
    workspace = Workspace(
        clock,
        seed=options.seed,
        era=options.era,
        iso_ts=False if options.integer_ts else None,
        rate_limit=options.rate_limit,
    )
    workspace.clock_offset = options.clock_offset
    workspace.add_user(options.user_id, options.token)
    try:
        workspace.start_import(options.kind, options.ending, options.seconds)
        server = Server(workspace, options.host, options.port)
    except ValueError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    except (OSError, OverflowError) as error:
        return _cannot_serve(options.port, error)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        _print_settings(workspace, server.url, options)
        _start_imports(workspace, options, stop)
    return 0


def _cannot_serve(port: int, error: Exception) -> int:
    reason = getattr(error, "strerror", None) or error
    sys.stderr.write(f"simulator: cannot serve on port {port}: {reason}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Serve a simulated Rocket.Chat workspace, with continual imports.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    add("--port", type=int, default=8100, help="port; 0 chooses a free one (default: %(default)s)")
    add("--seed", type=int, default=0, help="seed of the random numbers (default: %(default)s)")
    add(
        "--speed",
        type=_positive,
        default=1.0,
        help="simulated seconds per real second (default: 1)",
    )
    add(
        "--era",
        choices=[era.value for era in Era],
        default=Era.V8.value,
        help="versions of Rocket.Chat to behave as (default: %(default)s)",
    )
    add(
        "--integer-ts",
        action="store_true",
        help="send ts in milliseconds, as Rocket.Chat before 6.3",
    )
    add(
        "--clock-offset",
        type=_offset,
        default=timedelta(0),
        metavar="SECONDS",
        help="by how much Rocket.Chat's clock is ahead (default: 0)",
    )
    add(
        "--rate-limit",
        type=_limit,
        metavar="N|none",
        help="requests per endpoint in 60 s (default: 10)",
    )
    add("--user-id", default="simulatedUser0001", help="id of the API user (default: %(default)s)")
    add("--token", default="simulated-token", help="token of the API user (default: %(default)s)")
    add(
        "--import",
        dest="kind",
        choices=KINDS,
        help="type of the first import (default: csv)",
    )
    add(
        "--ending",
        choices=ENDINGS,
        help="how the first import ends (default: done)",
    )
    add("--seconds", type=_positive, default=600.0, help="duration of an import (default: 600)")
    _add_fleet_options(parser.add_argument_group("many workspaces"))
    return parser


def _add_fleet_options(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "--workspaces",
        type=_count,
        metavar="N",
        help="serve so many, at /w0, /w1 and so on; what they show follows from seed and clock",
    )
    add("--latency", type=_milliseconds, metavar="MS", help="of a response (default: 0)")
    add("--jitter", type=_milliseconds, metavar="MS", help="more or less latency (default: 0)")
    add("--active", type=_share, metavar="SHARE", help="importing at a time (default: 0.05)")
    add("--failing", type=_share, metavar="SHARE", help="failing at a time (default: 0)")
    add("--outage", type=_positive, metavar="SECONDS", help="for which one fails (default: 600)")
    add(
        "--failures",
        type=_failures,
        metavar="KIND,…",
        help=f"how they fail: {', '.join(FAILURES)} (default: all)",
    )
    add(
        "--log",
        type=Path,
        metavar="FILE",
        help="write a line for each request: begin, end, workspace, endpoint, status",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SIZE:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_SIZE:,}: {text}")
    return int(text)


def _milliseconds(text: str) -> float:
    return 0.0 if float(text) == 0 else _positive(text)


def _share(text: str) -> float:
    share = _positive(text)
    if share >= 1:
        raise argparse.ArgumentTypeError(f"must be less than 1: {text}")
    return share


def _failures(text: str) -> tuple[Failure, ...]:
    failures = tuple(failure for failure in FAILURES if failure in text.split(","))
    if len(failures) != len(text.split(",")):
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(FAILURES)}: {text}")
    return failures


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be greater than 0: {text}")
    return number


def _offset(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"must be a number of seconds: {text}") from error


def _limit(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, or none: {text}")
    return int(text)


def _print_settings(workspace: Workspace, url: str, options: argparse.Namespace) -> None:
    sys.stdout.write(
        f"Rocket.Chat {workspace.era.version}, simulated, at {url} (stop with Ctrl-C)\n"
        f"export ROCKETCHAT_URL={url}\n"
        f"export ROCKETCHAT_USER_ID={options.user_id}\n"
        f"export ROCKETCHAT_AUTH_TOKEN={options.token}\n"
    )
    sys.stdout.flush()


def _start_imports(
    workspace: Workspace, options: argparse.Namespace, stop: threading.Event
) -> None:
    """Start another import a while after one has ended, until `stop` is set."""
    rng = random.Random(f"next/{options.seed}")
    endings: tuple[Ending, ...] = ("done", "done", "done-with-errors", "done-short", "failed")
    next_at: datetime | None = None
    while not stop.wait(_CHECK_INTERVAL):
        operation = workspace.current()
        if operation is None or operation["status"] not in FINISHED:
            continue
        now = workspace.clock.now()
        if next_at is None:
            next_at = now + _PAUSE
        elif now >= next_at:
            workspace.start_import(rng.choice([*KINDS]), rng.choice(endings), options.seconds)
            next_at = None


if __name__ == "__main__":
    sys.exit(main())
