"""Whether several watches share a fleet, and what happens to it when one of them is killed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from benchmarks.databases import available
from benchmarks.figures import Figure, at_most
from benchmarks.fleet.processes import Server, count_overlaps, lateness, percentile, watching
from benchmarks.fleet.watches import fleet_environment
from benchmarks.processes import CannotMeasure, child

WATCHES = 4
#: How late a poll may be before the watches are behind, in seconds.
BEHIND = 2.0
#: How long after the workspaces' deadline the polls that died are made up for, in seconds.
MARGIN = 10.0
#: For how long the watches are punctual before one is killed, in seconds.
STEADY = 5.0
_START = 120.0


def figures(
    size: int = 20_000, interval: float = 200.0, deadline: float = 10.0
) -> Iterator[Figure]:
    for database, server in available("SQLite", "PostgreSQL").items():
        yield from killed(size, interval, deadline, database, server)


def killed(
    size: int, interval: float, deadline: float, database: str, server: str
) -> Iterator[Figure]:
    """Kill one of the watches while it polls; judge what the workspaces have seen."""
    with ExitStack() as stack:
        fleet, environment, folder = fleet_environment(
            stack, size, size, server, FLEET_DEADLINE=str(deadline)
        )
        with child(environment) as call:
            due = call("benchmarks.fleet.rows.schedule", interval, size)
        watches = [
            stack.enter_context(watching(environment, interval, folder)) for _ in range(WATCHES)
        ]
        first = {number: due["first"] + due["step"] * number for number in range(size)}
        wait_until_punctual(fleet, first, interval)
        watches[0].process.kill()
        killed_at = time.time()
        time.sleep(interval + deadline + MARGIN)
        # A watch that ends abandons its polls, which the others take over at once.
        ended_at = time.time()
        for watch in watches[1:]:
            watch.stop()
        requests = [request for request in fleet.requests() if request.started < ended_at]
    polls = [request for request in requests if request.is_poll]
    judged = lateness(polls, first, interval)
    # On a slow machine more polls are late: then later than those before.
    before = [late for poll, late in judged if killed_at - STEADY < poll.started < killed_at]
    usual = max(BEHIND, percentile(before or [0.0], 99))
    is_behind_until = killed_at + usual
    for poll, late in sorted(judged, key=lambda one: one[0].started - one[1]):
        overdue_at = poll.started - late + usual
        if overdue_at <= is_behind_until < poll.started:
            is_behind_until = poll.started
    forgotten = size - len({poll.number for poll in polls if poll.started > killed_at})
    name = f"{WATCHES} watches, {size:,} workspaces, one killed, {database}"
    if not any(poll.started > killed_at for poll in polls):
        raise CannotMeasure(f"{name}: {watches[1].last_errors()}")
    none = at_most(0, "value")
    yield Figure(f"{name}, forgotten", forgotten, "workspaces", "all", forgotten / size, none)
    overlaps = count_overlaps(requests)
    ratio = overlaps / len(requests)
    yield Figure(f"{name}, overlapping", overlaps, "requests", "all", ratio, none)
    limit = deadline + MARGIN
    seconds = is_behind_until - killed_at
    goal = at_most(1)
    yield Figure(f"{name}, back to pace", seconds, "s", f"{limit:.0f} s", seconds / limit, goal)


def wait_until_punctual(fleet: Server, first: Mapping[int, float], interval: float) -> None:
    """Wait until all watches have started, and have polled what came due in the meantime.

    Raises CannotMeasure if they do not catch up.
    """
    ends_at = time.time() + _START + interval
    while True:
        time.sleep(STEADY)
        since = time.time() - STEADY
        judged = lateness(fleet.polls(), first, interval)
        late = [late for poll, late in judged if poll.started > since]
        if late and percentile(late, 90) < BEHIND:
            return
        if time.time() > ends_at:
            raise CannotMeasure(f"the watches make {len(late) / STEADY:.0f} polls/s: too few")
