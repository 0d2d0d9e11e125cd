"""Measure speed and memory: `make bench`, in five minutes.

    python -m benchmarks [--full] [--json FILE] [--keep]

`--full` (`make bench FULL=1`) adds a history of a million operations and 100,000 workspaces, some
forty minutes more.

Each figure is compared with something that is measured alternately in the same run: the ratio says
more about another machine than the value does. A figure holds if it meets its goal; without
a goal, if its ratio is at most twice as bad as the committed one (benchmarks/baseline.jsonl). One
that does not hold is measured once more.

POSTGRES_URL and MARIADB_URL name databases on servers where other databases can be created.

Exit status: 0 every figure holds; 1 one does not, or could not be measured. What the machine does
not have (wrk, a database server) is named, and not measured.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import endpoint, fan_out, memory, pages, peer, polls, startup, writing
from benchmarks.databases import unavailable
from benchmarks.figures import BASELINE, Figure, header, measure, write
from benchmarks.fleet.__main__ import BENCHMARKS as FLEET_BENCHMARKS
from benchmarks.fleet.__main__ import FULL_BENCHMARKS as FULL_FLEET_BENCHMARKS
from benchmarks.processes import BASE_DIR, CannotMeasure

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "startup": startup.figures,
    "polls": polls.figures,
    "memory": memory.figures,
    "writing": writing.figures,
    "fan-out": fan_out.figures,
    "endpoint": endpoint.figures,
    # One by one: what does not hold is measured again.
    **{f"pages, {name}": partial(pages.figures, databases=[name]) for name in pages.DATABASES},
    "peer": peer.figures,
    **FLEET_BENCHMARKS,
}


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure speed and memory."
    )
    parser.add_argument(
        "--full", action="store_true", help="include a million operations and 100,000 workspaces"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=BASE_DIR / ".local" / "bench.jsonl",
        metavar="FILE",
        help="write the figures as lines of JSON (default: .local/bench.jsonl)",
    )
    parser.add_argument(
        "--keep", action="store_true", help=f"make the figures the baseline ({BASELINE.name})"
    )
    options = parser.parse_args()
    benchmarks = dict(BENCHMARKS)
    if options.full:
        benchmarks |= {
            f"pages, {name}": partial(pages.figures, pages.FULL_SIZES, databases=[name])
            for name in pages.DATABASES
        }
        benchmarks |= FULL_FLEET_BENCHMARKS
    started = time.monotonic()
    missing = unavailable()
    if shutil.which("wrk") is None:
        missing.append("The endpoint is not measured: install wrk (apt-get, brew).")
        del benchmarks["endpoint"]
    print("\n".join([*missing, header()]), flush=True)
    figures, failed = list[Figure](), False
    for name, benchmark in benchmarks.items():
        try:
            figures += measure(benchmark)
        except (CannotMeasure, OSError) as error:
            print(f"{name}: cannot be measured: {error}", flush=True)
            failed = True
    write(options.json, figures)
    if options.keep:
        write(BASELINE, figures)
    misses = sum(not figure.holds for figure in figures)
    print(
        f"\n{len(figures)} figures in {time.monotonic() - started:.0f} s, "
        f"{misses} do not hold; written to {options.json}"
    )
    return 1 if failed or misses else 0


if __name__ == "__main__":
    sys.exit(main())
