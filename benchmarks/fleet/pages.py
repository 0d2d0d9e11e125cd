"""Whether pages and endpoints cost the same with many workspaces as with few."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from typing import Any

from benchmarks.databases import available
from benchmarks.environments import TOKEN, USER_ID, project_environment
from benchmarks.figures import Figure, Goal, alternate, at_most
from benchmarks.processes import child

#: Shares that fill the cards of what is urgent in the smallest fleet too.
ACTIVE, FAILING, SECONDS = 0.3, 0.2, 600.0
#: How many workspaces' rows are made one by one, and not copied.
MADE = 1000
#: The fewest that fill a page of each list: with fewer, a list would only be shorter.
FEW = 30
SIZES = (FEW, 10_000)
FULL_SIZES = (FEW, 1_000, 10_000, 100_000)
#: Compared with so many, the metrics of a larger fleet also have more series.
FEW_SCRAPED = 10
MAX_RATIO = at_most(1.5)
MAX_METRICS_RATIO = at_most(3)
MAX_METRICS_SIZE = at_most(200, "value")

VISIT, SCRAPE = "benchmarks.fleet.visits.visit", "benchmarks.fleet.visits.scrape"

Call = Callable[..., Any]


def figures(sizes: Sequence[int] = SIZES, times: int = 3) -> Iterator[Figure]:
    few, *others = sizes
    for database, server in available("SQLite", "PostgreSQL").items():
        with ExitStack() as stack:
            sites = {
                size: stack.enter_context(filled(size, server)) for size in (FEW_SCRAPED, *sizes)
            }
            paths = sites[few]("benchmarks.fleet.visits.pages")
            pages = {}
            for name, path in paths.items():
                visits = {size: partial(sites[size], VISIT, path) for size in sizes}
                pages[name] = call_alternately(visits, times)
                yield from page_figures(name, pages[name], database)
            del sites[few]
            yield from metrics_figures(sites, times, database)
        for size, (of, goal) in product(others, (("bytes", 1.5), ("queries", 1))):
            ratio, value, name = worst(of, pages, few, size)
            yield Figure(
                f"{of} of the other pages, {size:,} workspaces, {database}",
                value,
                of,
                f"{few:,} workspaces; the worst is {name}",
                ratio,
                at_most(goal),
            )


def limited_figures(sizes: tuple[int, int] = (FEW, 100_000), times: int = 5) -> Iterator[Figure]:
    """Compare the time of each page for users who may not see every workspace."""
    few, many = sizes
    workspaces = "benchmarks.fleet.limited.workspaces"
    for database, server in available("SQLite", "PostgreSQL").items():
        with ExitStack() as stack:
            sites = {
                size: stack.enter_context(filled(size, server, FLEET_WORKSPACES=workspaces))
                for size in sizes
            }
            for size, call in sites.items():
                call("benchmarks.fleet.limited.limit", size)
            for user, seen in sites[few]("benchmarks.fleet.limited.users").items():
                for name, calls in limited_calls(sites, few, user).items():
                    by_size = call_alternately(calls, times)
                    ms = by_size[many]["ms"]
                    yield Figure(
                        f"{name}, {seen} of {many:,} workspaces visible, {database}",
                        ms,
                        "ms",
                        f"{few:,} workspaces",
                        ms / by_size[few]["ms"],
                    )


def limited_calls(sites: Mapping[int, Call], few: int, user: str) -> dict[str, dict[int, Call]]:
    """Return what visits each page as a user, by its name and the size of the fleet."""
    # The user sees other workspaces in each fleet, whose pages these are.
    paths = {size: call("benchmarks.fleet.visits.pages", user) for size, call in sites.items()}
    calls: dict[str, dict[int, Call]] = {
        name: {size: partial(call, VISIT, paths[size][name], user) for size, call in sites.items()}
        for name in paths[few]
    }
    calls["/metrics"] = {size: partial(call, SCRAPE, True, user) for size, call in sites.items()}
    return calls


def page_figures(
    name: str,
    by_size: Mapping[int, Mapping[str, float]],
    database: str,
    goal: Goal | None = MAX_RATIO,
) -> Iterator[Figure]:
    """Compare the time of a page with that in the smallest fleet."""
    (few, base), *others = by_size.items()
    for size, values in others:
        title, against = f"{name}, {size:,} workspaces, {database}", f"{few:,} workspaces"
        yield Figure(title, values["ms"], "ms", against, values["ms"] / base["ms"], goal)


def metrics_figures(sites: Mapping[int, Call], times: int, database: str) -> Iterator[Figure]:
    """Compare scrapes for which nothing is cached, with a watch and without one.

    Without one, each counts all workspaces, which is made for small fleets, and has no goal.
    """
    unwatched = call_alternately(
        {size: partial(call, SCRAPE, False) for size, call in sites.items()}, times
    )
    yield from page_figures("/metrics without a watch", unwatched, database, goal=None)
    by_size = call_alternately(
        {size: partial(call, SCRAPE, True) for size, call in sites.items()}, times
    )
    yield from page_figures("/metrics", by_size, database, MAX_METRICS_RATIO)
    (few, base), *others = by_size.items()
    for size, values in others:
        yield Figure(
            f"/metrics, {size:,} workspaces, {database}, size",
            values["bytes"] / 1000,
            "kB",
            f"{few:,} workspaces",
            values["bytes"] / base["bytes"],
            MAX_METRICS_SIZE,
        )


@contextmanager
def filled(size: int, server: str, **options: str) -> Iterator[Call]:
    """Start a process with the project and the rows of that many workspaces.

    `options` are more variables of the environment.
    """
    variables = {
        "FLEET_URL": "http://127.0.0.1:9",
        "FLEET_SIZE": str(size),
        "FLEET_USER_ID": USER_ID,
        "FLEET_AUTH_TOKEN": TOKEN,
        "IMPORTMONITOR_REMEMBER_FOR": "0",
        **options,
    }
    with project_environment({}, server, **variables) as environment, child(environment) as call:
        call("benchmarks.fleet.rows.fill", size, MADE, ACTIVE, SECONDS, FAILING)
        yield call


def call_alternately(calls: Mapping[int, Call], times: int) -> dict[int, dict[str, float]]:
    """Return the median time of a page, its bytes and its queries, by the size of the fleet."""
    jobs = {str(size): call for size, call in calls.items()}
    # The first visit finds cold caches.
    alternate(1, jobs)
    return {
        int(size): {of: statistics.median(visit[of] for visit in visits) for of in visits[0]}
        for size, visits in alternate(times, jobs).items()
    }


def worst(
    of: str, pages: Mapping[str, Mapping[int, Mapping[str, float]]], few: int, size: int
) -> tuple[float, float, str]:
    """Return the greatest ratio to the smallest fleet of any page, its value, and the page."""
    # A page without queries has as many as before.
    return max(
        ((values[size][of] or 1) / (values[few][of] or 1), values[size][of], name)
        for name, values in pages.items()
    )
