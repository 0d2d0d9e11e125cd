"""Measure what a fleet of workspaces costs: pages, watches, and several watches at once.

    python -m benchmarks.fleet [--full]

`--full` has up to 100,000 workspaces, and takes some thirty minutes. PostgreSQL is measured too if
POSTGRES_URL names a server. The workspaces are simulated by another process.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from benchmarks.figures import Figure, header, measure
from benchmarks.fleet import pages, sharing, watches
from benchmarks.processes import CannotMeasure

Benchmarks = Mapping[str, Callable[[], Iterator[Figure]]]

BENCHMARKS: Benchmarks = {"pages of a fleet": pages.figures, "watches": watches.figures}
FULL_BENCHMARKS: Benchmarks = {
    "pages of a fleet": partial(pages.figures, pages.FULL_SIZES, 7),
    "pages for limited users": pages.limited_figures,
    "watches": watches.full_figures,
    "several watches": sharing.figures,
}


def main() -> int:
    """Measure and print; return the exit status: 0 if every figure holds, else 1."""
    print(header())
    holds = True
    for name, benchmark in (FULL_BENCHMARKS if "--full" in sys.argv[1:] else BENCHMARKS).items():
        try:
            holds &= all(figure.holds for figure in measure(benchmark))
        except CannotMeasure as error:
            print(f"{name}: cannot be measured: {error}", flush=True)
            holds = False
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
