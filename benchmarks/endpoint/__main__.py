"""The endpoint under load, beside a bare `JsonResponse` and the textbook DRF view.

    python -m benchmarks.endpoint [--rounds 15] [--seconds 1] [--postgres URL]

All servers of a database are up at once, with the host project's settings and middleware, and are
loaded by wrk one at a time, by turns, in short rounds: a ratio is the median of the rounds' own.
Every answer is checked. The time that the servers' processors take for one is told too: what else
the machine is busy with hardly changes it, and it alone can tell a 304 from a 200.

Exit status: 0 the goals hold; 1 they do not, or nothing could be measured.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

from benchmarks.databases import available, throw_away
from benchmarks.endpoint.servers import (
    COMMANDS,
    NO_WRK,
    WORKERS,
    Load,
    Site,
    Target,
    ask,
    load,
    serving,
)
from benchmarks.figures import Figure, at_least
from benchmarks.hosts import TOKEN, USER_ID, migrated
from benchmarks.processes import CannotMeasure, run
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

PATH = "/api/v1/getCurrentImportOperation"
BARE, TEXTBOOK = "bare JsonResponse", "textbook DRF view"
OURS, OURS_304 = "ours", "ours, 304"
WITHOUT, WITHOUT_304 = "ours without memory", "ours without memory, 304"
#: By how much a 304 may seem slower: what one run differs from the next.
NOISE = 0.95


@dataclass(frozen=True)
class Goal:
    """That one is at least so many times as fast as another, on one database or on whichever.

    By the requests a second, or by the processors' time for each.
    """

    what: str
    against: str
    least: float
    database: str | None = None
    by_cpu: bool = False


GOALS = (
    Goal(OURS, BARE, 0.75),
    Goal(OURS, TEXTBOOK, 6, "SQLite"),
    Goal(OURS, TEXTBOOK, 10, "PostgreSQL"),
    Goal(WITHOUT, TEXTBOOK, 1.25),
    Goal(OURS_304, OURS, NOISE, by_cpu=True),
    Goal(WITHOUT_304, WITHOUT, NOISE, by_cpu=True),
)


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endpoint", description="Measure the endpoint under load."
    )
    parser.add_argument("--rounds", type=int, default=15, help="(default: 15)")
    parser.add_argument("--seconds", type=int, default=1, help="of a round (default: 1)")
    parser.add_argument(
        "--postgres",
        default=os.environ.get("POSTGRES_URL", ""),
        metavar="URL",
        help="a database in whose server others can be made (default: POSTGRES_URL)",
    )
    options = parser.parse_args()
    databases = {"SQLite": ""} | ({"PostgreSQL": options.postgres} if options.postgres else {})
    servers = [server for server in COMMANDS if importlib.util.find_spec(server)]
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"Django {django.__version__}; {WORKERS} workers; {options.rounds} rounds of "
        f"{options.seconds} s"
    )
    for server in COMMANDS:
        if server not in servers:
            print(f"{server} left out: it is not installed (pip install {server}).")
    if not options.postgres:
        print("PostgreSQL left out: name a server by --postgres or POSTGRES_URL.")
    if not servers or shutil.which("wrk") is None:
        sys.stderr.write(f"{NO_WRK if servers else 'There is no web server to measure.'}\n")
        return 1
    holds = []
    try:
        for name, url in databases.items():
            for server, found in measure(url, servers, options.rounds, options.seconds):
                holds += report(name, server, found)
    except (CannotMeasure, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0 if all(holds) else 1


def figures(rounds: int = 3, seconds: int = 1) -> Iterator[Figure]:
    """Measure on gunicorn, with SQLite and PostgreSQL."""
    if shutil.which("wrk") is None:
        raise CannotMeasure(NO_WRK)
    for name, url in available().items():
        if name == "MariaDB":
            continue
        for server, found in measure(url, ["gunicorn"], rounds, seconds):
            for goal in goals_on(name):
                yield Figure(
                    f"the endpoint, {server}, {name}: {goal.what}",
                    statistics.median(each.rate for each in found[goal.what]),
                    "/s",
                    f"{goal.against}{', by CPU' if goal.by_cpu else ''}",
                    ratio(found[goal.what], found[goal.against], by_cpu=goal.by_cpu),
                    at_least(goal.least),
                    is_speed=True,
                )


def goals_on(database: str) -> list[Goal]:
    """Return the goals that count on a kind of database."""
    return [goal for goal in GOALS if goal.database in (None, database)]


def measure(
    url: str, servers: list[str], rounds: int, seconds: int
) -> Iterator[tuple[str, dict[str, list[Load]]]]:
    """Measure on one kind of database; give each server and its loads by contender."""
    workspace = Workspace(Clock(datetime.now(UTC)), seed=1, rate_limit=None)
    workspace.add_user(USER_ID, TOKEN)
    workspace.start_import("slack", seconds=3600)
    workspace.clock.advance(1800)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulator = stack.enter_context(Server(workspace))
        environment = stack.enter_context(migrated({"default": simulator.url})) | {
            "DATABASE_URL": stack.enter_context(throw_away(url, folder)),
            "DJANGO_SETTINGS_MODULE": "benchmarks.endpoint.settings",
            "SECURE_SSL_REDIRECT": "off",
        }
        credentials = prepared(environment)
        answered = {"operation": workspace.current(), "success": True}
        body = folder / "body.json"
        body.write_text(json.dumps(answered))
        environment["ENDPOINT_BODY"] = str(body)
        running = {
            (server, remembering): stack.enter_context(
                serving(
                    server,
                    environment | {"IMPORTMONITOR_REMEMBER_FOR": remembering},
                    folder / f"{server}-{remembering}.log",
                )
            )
            for server in servers
            for remembering in ("1", "0")
        }
        for server in servers:
            sites = running[server, "1"], running[server, "0"]
            contenders = targets(*sites, credentials, answered)
            yield server, rates(contenders, rounds, seconds, folder)


def prepared(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Prepare the database; return the headers of those who ask."""
    done = run(environment, [sys.executable, "-m", "benchmarks.endpoint.prepare"])
    told: dict[str, dict[str, str]] = json.loads(done.out)
    return told


def targets(
    site: Site, without: Site, credentials: Mapping[str, Mapping[str, str]], answered: Any
) -> dict[str, Target]:
    """Return what is to be asked, each having been asked once and found right.

    `site` is the server with the memory, `without` the one without; `answered` is what the
    workspace itself answers.
    """
    ours = credentials["ours"]
    status, etag, _body = ask(site.url + PATH, ours)
    if status != 200:
        raise CannotMeasure(f"{PATH} answers {status}.")
    again = {**ours, "If-None-Match": etag}
    asked = {
        BARE: (site, "/bare", {}, 200),
        OURS: (site, PATH, ours, 200),
        OURS_304: (site, PATH, again, 304),
        WITHOUT: (without, PATH, ours, 200),
        WITHOUT_304: (without, PATH, again, 304),
        TEXTBOOK: (site, "/textbook", credentials["textbook"], 200),
    }
    found = {}
    for name, (where, path, given, expected) in asked.items():
        status, _etag, body = ask(where.url + path, given)
        told: Any = json.loads(body or "{}")
        right = {} if expected == 304 else answered
        if name == TEXTBOOK:
            told, right = told.get("remote_id"), answered["operation"]["_id"]
        if status != expected or told != right:
            raise CannotMeasure(f"{name}: {status} {body[:500]!r}")
        found[name] = Target(where, path, given, expected, body)
    return found


def rates(
    contenders: Mapping[str, Target], rounds: int, seconds: int, folder: Path
) -> dict[str, list[Load]]:
    """Load all in turn, once to get warm and then so often; return what they did."""
    found: dict[str, list[Load]] = {name: [] for name in contenders}
    for target in contenders.values():
        load(target, 1, folder)
    for _ in range(rounds):
        for name, target in contenders.items():
            found[name].append(load(target, seconds, folder))
    return found


def report(database: str, server: str, found: Mapping[str, list[Load]]) -> list[bool]:
    """Print the figures of one server on one database; return for each goal whether it holds."""
    print(
        f"\n{database}, {server}\n{'':<28}{'requests/s':>12}{'of the bare':>13}{'× textbook':>12}"
        f"{'CPU, µs each':>14}"
    )
    for name, each in found.items():
        print(
            f"{name:<28}{statistics.median(one.rate for one in each):>12,.0f}"
            f"{ratio(each, found[BARE]):>13.2f}{ratio(each, found[TEXTBOOK]):>12.2f}"
            f"{statistics.median(one.cpu for one in each):>14,.0f}"
        )
    holds = []
    for goal in goals_on(database):
        got = ratio(found[goal.what], found[goal.against], by_cpu=goal.by_cpu)
        holds.append(got >= goal.least)
        print(
            f"goal: {goal.what} at least {goal.least} × {goal.against}"
            f"{', by CPU' if goal.by_cpu else ''}: {got:.3f}: "
            f"{'holds' if holds[-1] else 'does NOT hold'}"
        )
    return holds


def ratio(some: list[Load], others: list[Load], *, by_cpu: bool = False) -> float:
    """Return how many times as fast some are as others: the median of the rounds' ratios."""
    rounds = zip(some, others, strict=True)
    return statistics.median(
        other.cpu / one.cpu if by_cpu else one.rate / other.rate for one, other in rounds
    )


if __name__ == "__main__":
    sys.exit(main())
