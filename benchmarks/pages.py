"""Whether the admin's pages, the export and pruning cost the same in a long history.

    python -m benchmarks.pages

Processes with few and with many operations render the same pages alternately.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.databases import available
from benchmarks.environments import project_environment
from benchmarks.figures import Figure, alternate, at_most, run_benchmark
from benchmarks.processes import child

WORKSPACES = ("headquarters", "sales", "support", "archive")
SIZES = (1_000, 100_000)
FULL_SIZES = (*SIZES, 1_000_000)
DATABASES = ("SQLite", "PostgreSQL")
#: How many times as long as with few operations: a page, and one row of the export and of pruning.
MAX_RATIO = at_most(1.5)
#: What an export adds to the memory of the process.
MAX_EXPORT_MIB = at_most(32, "value")


@dataclass(frozen=True)
class Site:
    """A process with the project and that many operations."""

    size: int
    call: Any
    pages: dict[str, str]


def figures(
    sizes: Sequence[int] = SIZES, times: int = 7, databases: Sequence[str] = DATABASES
) -> Iterator[Figure]:
    for database, server in available(*databases).items():
        urls = dict.fromkeys(WORKSPACES, "http://127.0.0.1:9")
        with ExitStack() as stack:
            sites = []
            for size in sizes:
                environment = stack.enter_context(project_environment(urls, server))
                call = stack.enter_context(child(environment))
                call("benchmarks.history.fill", size)
                sites.append(Site(size, call, call("benchmarks.visits.pages")))
            yield from visits(sites, database, times)
            yield from exports(sites, database)
            yield from prunes(sites, database)


def visits(sites: Sequence[Site], database: str, times: int) -> Iterator[Figure]:
    for name in sites[0].pages:
        jobs = {
            str(site.size): partial(site.call, "benchmarks.visits.visit", site.pages[name])
            for site in sites
        }
        # The first visit finds cold caches.
        alternate(1, jobs)
        few, *others = (statistics.median(values) for values in alternate(times, jobs).values())
        for site, ms in zip(sites[1:], others, strict=True):
            yield figure(f"page, {name}", site, sites[0], database, ms, "ms", ms / few)


def exports(sites: Sequence[Site], database: str) -> Iterator[Figure]:
    # A short export needs repetition.
    few, *others = (
        site.call("benchmarks.visits.exports", 9 if site is sites[0] else 1) for site in sites
    )
    for site, result in zip(sites[1:], others, strict=True):
        us, few_us = result["us_per_row"], few["us_per_row"]
        yield figure("export", site, sites[0], database, us, "µs a row", us / few_us)
        name = f"export, {site.size:,} operations, {database}, memory"
        ratio = result["peak_ratio"]
        yield Figure(name, result["mib"], "MiB", "the process before", ratio, MAX_EXPORT_MIB)


def prunes(sites: Sequence[Site], database: str) -> Iterator[Figure]:
    few, *others = (site.call("benchmarks.visits.prune") for site in sites)
    for site, us in zip(sites[1:], others, strict=True):
        yield figure("prune", site, sites[0], database, us, "µs a row", us / few)


def figure(
    name: str, site: Site, few: Site, database: str, value: float, unit: str, ratio: float
) -> Figure:
    """Return a figure of a site compared with the one with few operations."""
    against = f"{few.size:,} operations"
    return Figure(
        f"{name}, {site.size:,} operations, {database}", value, unit, against, ratio, MAX_RATIO
    )


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
