"""The command `python -m simulator`: serves a workspace that starts one import after another."""

import argparse
import random
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from simulator.clock import Clock
from simulator.eras import Era
from simulator.kinds import FINISHED, KINDS
from simulator.server import Server
from simulator.workspace import Workspace
from simulator.writes import ENDINGS, Ending

_PAUSE = timedelta(seconds=30)
_CHECK_INTERVAL = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        arguments: the command line's; by default those of the process.

    Returns:
        The exit status: 0, or 2 if the port is not free or the options contradict each other.
    """
    options = _parser().parse_args(arguments)
    clock = Clock(datetime.now(UTC), options.speed)
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
        reason = getattr(error, "strerror", None) or error
        sys.stderr.write(f"simulator: cannot serve on port {options.port}: {reason}\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        _print_settings(workspace, server.url, options)
        _start_imports(workspace, options, stop)
    return 0


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
        default=10,
        metavar="N|none",
        help="requests per endpoint in 60 s (default: 10)",
    )
    add("--user-id", default="simulatedUser0001", help="id of the API user (default: %(default)s)")
    add("--token", default="simulated-token", help="token of the API user (default: %(default)s)")
    add(
        "--import",
        dest="kind",
        choices=KINDS,
        default="csv",
        help="type of the first import (default: %(default)s)",
    )
    add(
        "--ending",
        choices=ENDINGS,
        default="done",
        help="how the first import ends (default: %(default)s)",
    )
    add("--seconds", type=_positive, default=600.0, help="duration of an import (default: 600)")
    return parser


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
