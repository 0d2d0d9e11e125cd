"""Processes with the project, a database full of operations, and a browser."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.databases import throw_away
from benchmarks.hosts import BASE_DIR, migrated

ALIASES = ("headquarters", "sales", "support", "archive")
#: Milliseconds after which a page is not visited any more.
ENOUGH = 6000.0


class Site:
    """A process with the project, a database and a browser; asked by lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        told = self.hear()
        self.rows: int = told["rows"]
        self.seconds: float = told["seconds"]
        self.pages: dict[str, str] = told["pages"]

    def ask(self, what: str, path: str = "") -> Any:
        """Have something done, and return what came of it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([what, path]) + "\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> Any:
        """Return the next thing that it says."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextmanager
def running(count: int, server: str, folder: Path) -> Iterator[Site]:
    """Run a site with so many operations on a database of its own."""
    urls = dict.fromkeys(ALIASES, "http://127.0.0.1:9")
    with migrated(urls) as environment, throw_away(server, folder) as url:
        environment |= {
            "DATABASE_URL": url,
            "ALLOWED_HOSTS": "testserver",
            "SECURE_SSL_REDIRECT": "off",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pages.sites", str(count)],
            cwd=BASE_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Site(process)
        finally:
            process.communicate()


@dataclass(frozen=True)
class Taken:
    """What a page answered and took: its status, the rows in its tables, queries, the median."""

    status: int
    rows: int
    queries: int
    ms: float


def take(visits: list[tuple[Site, str]], times: int) -> list[Taken]:
    """Visit pages by turns, so often; return what each took."""
    told: list[list[dict[str, Any]]] = [[] for _ in visits]
    for _ in range(times + 1):
        for (site, path), heard in zip(visits, told, strict=True):
            heard.append(site.ask("visit", path))
        # One that takes long tells enough all the same.
        if len(told[0]) > 1 and sum(each["ms"] for heard in told for each in heard) > ENOUGH:
            break
    return [
        # The first finds everything cold.
        Taken(**heard[-1] | {"ms": statistics.median(each["ms"] for each in heard[1:])})
        for heard in told
    ]


def serve(count: int) -> None:
    """Fill a database, and do what is asked until stdin ends."""
    import time

    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.pages.filling import fill
    from benchmarks.pages.visits import Browser

    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    rows = fill(count)
    seconds = time.perf_counter() - began
    browser = Browser()
    say({"rows": rows, "seconds": seconds, "pages": browser.pages()})
    for line in sys.stdin:
        what, path = json.loads(line)
        if what == "visit":
            say(browser.visit(path).told())
        elif what == "explain":
            say(browser.explained(path))
        elif what == "export":
            say(browser.exported())
        else:
            say(browser.pruned())


def say(what: object) -> None:
    """Write a line of JSON at once."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    _parser.add_argument("count", type=int)
    serve(_parser.parse_args().count)
