"""Some of the admin's pages, the export and pruning at three sizes of history, as figures."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, at_most
from benchmarks.pages.sites import Site, running, take

SIZES = (1_000, 100_000, 1_000_000)
#: How many times as long as among the fewest: a page; and a row of what goes through all of them.
GOAL = 1.5
#: In MiB: what an export needs beyond what the process has.
MEMORY_GOAL = 32.0
PAGES = (
    "the admin's index",
    "history: first page",
    "history: last page",
    "history: outcome done, last page",
    "history: workspace, outcome",
    "history: searched by id",
    "history: searched by what nothing has",
    "operation: in the middle",
    "sync periods: first page",
)


def figures(sizes: Sequence[int] = SIZES, times: int = 7) -> Iterator[Figure]:
    """Measure on SQLite; `python -m benchmarks.pages` does on PostgreSQL, and every page."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sites = [stack.enter_context(running(count, "", folder)) for count in sizes]
        yield from visits(sites, times)
        yield from exports(sites)
        yield from prunes(sites)


def visits(sites: list[Site], times: int) -> Iterator[Figure]:
    for name in PAGES:
        few, *others = take([(site, site.pages[name]) for site in sites], times)
        for site, taken in zip(sites[1:], others, strict=True):
            yield Figure(
                f"page, {name}, {site.rows:,} operations",
                taken.ms,
                "ms",
                f"{sites[0].rows:,} operations",
                taken.ms / few.ms,
                at_most(GOAL),
            )


def exports(sites: list[Site]) -> Iterator[Figure]:
    few, *others = [site.ask("export") for site in sites]
    for site, told in zip(sites[1:], others, strict=True):
        name, against = f"export of {site.rows:,} operations", f"{sites[0].rows:,} operations"
        per_row = told["seconds"] / told["rows"], few["seconds"] / few["rows"]
        yield Figure(
            name, per_row[0] * 1e6, "µs a row", against, per_row[0] / per_row[1], at_most(GOAL)
        )
        kib = told["kib"]
        yield Figure(
            f"{name}, memory",
            kib / 1024,
            "MiB",
            against,
            kib / max(few["kib"], 1),
            at_most(MEMORY_GOAL, "value"),
        )


def prunes(sites: list[Site]) -> Iterator[Figure]:
    few, *others = [site.ask("prune") for site in sites]
    for site, told in zip(sites[1:], others, strict=True):
        per_row = told["seconds"] / told["rows"], few["seconds"] / few["rows"]
        yield Figure(
            f"prune of {site.rows:,} operations",
            per_row[0] * 1e6,
            "µs a row",
            f"{sites[0].rows:,} operations",
            per_row[0] / per_row[1],
            at_most(GOAL),
        )
