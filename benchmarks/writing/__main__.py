"""How fast many operations are written at once: ours, an ORM loop, and raw `executemany`.

    python -m benchmarks.writing [--counts 20 1000 100000] [--postgres URL] [--mariadb URL]

Two looks: at the first, all operations are new; at the second, of each the status and a counter
have changed. The others write the very rows that ours have left, and are given them: they compare
nothing and parse nothing. Each measures in a transaction that is rolled back. Of very many, the
others write but some, and their time is taken to grow with the number, as it does.

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.databases import available, left_out, throw_away
from benchmarks.figures import Figure, at_least, at_most, print_all
from benchmarks.hosts import BASE_DIR, migrated
from benchmarks.writing import LOOP, OURS, RAW

COUNTS = (20, 1000, 100_000)
#: By the count and the database: how many times as fast as the loop.
#: Missed by most machines: of two looks at 1,000 operations, half the time goes into comparing
#: them and into the 4,000 instances of models that signals and alerts hand on; on PostgreSQL, most
#: of the rest is its own work on 13 indexes.
FASTER = {(1000, "SQLite"): 10.0, (1000, "PostgreSQL"): 20.0}
#: By the count: how many times as long as executemany.
LONGER = {1000: 4.0}


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writing", description="Measure writing many operations at once."
    )
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        from benchmarks.writing.contenders import measure

        for count in options.counts:
            print(json.dumps(measure(count)), flush=True)
        return 0
    print("\n".join(left_out()))
    return print_all(figures(options.counts))


def figures(counts: Sequence[int] = COUNTS) -> Iterator[Figure]:
    """Measure on every database that there is."""
    for name, server in available().items():
        for count, told in zip(counts, measured(server, counts), strict=True):
            yield from compared(name, count, told)


def measured(server: str, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Give for each count the seconds of each turn by contender, from a process of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        migrated({"default": "http://127.0.0.1:9"}) as environment,
        throw_away(server, Path(folder)) as url,
    ):
        command = [sys.executable, "-m", "benchmarks.writing", "--measure", "--counts"]
        process = subprocess.Popen(
            [*command, *map(str, counts)],
            cwd=BASE_DIR,
            env=environment | {"DATABASE_URL": url},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            for _ in counts:
                yield json.loads(process.stdout.readline())
        finally:
            process.communicate()


def compared(database: str, count: int, told: dict[str, list[float]]) -> Iterator[Figure]:
    """Give what ours is against the others, in operations a second."""
    name = f"{count:,} operations written at once, {database}"
    ours = statistics.median(told[OURS])
    least, most = FASTER.get((count, database)), LONGER.get(count)
    yield Figure(
        name,
        # Each is written twice.
        2 * count / ours,
        "/s",
        LOOP,
        statistics.median(told[LOOP]) / ours,
        at_least(least) if least else None,
        is_speed=True,
    )
    yield Figure(
        name,
        2 * count / ours,
        "/s",
        RAW,
        ours / statistics.median(told[RAW]),
        at_most(most) if most else None,
    )


if __name__ == "__main__":
    sys.exit(main())
