"""Serve a simulated workspace in which there is always something going on."""

import argparse
import random
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from simulator.clock import Clock
from simulator.kinds import FINISHED, KINDS
from simulator.server import Server
from simulator.workspace import Workspace
from simulator.writes import ENDINGS, Ending

_PAUSE = timedelta(seconds=30)
_LOOK_EVERY = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        arguments: of the command line; the process's own unless given.

    Returns:
        The exit status: 0, or 2 if the port cannot be had or the arguments do not go together.
    """
    options = _parser().parse_args(arguments)
    clock = Clock(datetime.now(UTC), options.speed)
    workspace = Workspace(
        clock,
        seed=options.seed,
        era=options.era,
        iso_ts=not options.integer_ts,
        rate_limit=options.rate_limit,
    )
    workspace.add_user(options.user_id, options.token)
    try:
        workspace.start_import(options.kind, options.ending, options.seconds)
        server = Server(workspace, port=options.port)
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
        _announce(workspace, server.url, options)
        _keep_going(workspace, options, stop)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A simulated Rocket.Chat workspace on loopback, with one import after another.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8100, help="0 takes a free one (default: %(default)s)")
    add("--seed", type=int, default=0, help="where chance comes from (default: %(default)s)")
    add("--speed", type=_positive, default=1.0, help="simulated seconds to a real one (default: 1)")
    add(
        "--era", type=int, choices=(5, 7, 8), default=8, help="major version (default: %(default)s)"
    )
    add("--integer-ts", action="store_true", help="ts in milliseconds, as before 6.3")
    add(
        "--rate-limit",
        type=_limit,
        default=10,
        metavar="N|none",
        help="calls in 60 s (default: 10)",
    )
    add("--user-id", default="simulatedUser0001", help="who may ask (default: %(default)s)")
    add("--token", default="simulated-token", help="their token (default: %(default)s)")
    add("--import", dest="kind", choices=KINDS, default="csv", help="the first import's kind")
    add("--ending", choices=ENDINGS, default="done", help="how the first import ends")
    add("--seconds", type=_positive, default=600.0, help="how long an import takes (default: 600)")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be more than 0: {text}")
    return number


def _limit(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, or none: {text}")
    return int(text)


def _announce(workspace: Workspace, url: str, options: argparse.Namespace) -> None:
    sys.stdout.write(
        f"Rocket.Chat {workspace.version}, simulated, at {url} (Ctrl-C stops it)\n"
        f"export ROCKETCHAT_URL={url}\n"
        f"export ROCKETCHAT_USER_ID={options.user_id}\n"
        f"export ROCKETCHAT_AUTH_TOKEN={options.token}\n"
    )
    sys.stdout.flush()


def _keep_going(workspace: Workspace, options: argparse.Namespace, stop: threading.Event) -> None:
    """Start another import a while after one has ended, until told to stop."""
    rng = random.Random(f"next/{options.seed}")
    endings: tuple[Ending, ...] = ("done", "done", "done-with-errors", "done-short", "failed")
    next_at: datetime | None = None
    while not stop.wait(_LOOK_EVERY):
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
