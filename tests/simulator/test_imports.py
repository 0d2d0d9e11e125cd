"""The plan of an import: steps, counters and times, by kind, ending and pace."""

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from simulator import kinds
from simulator.eras import Era
from simulator.imports import Choice, Event, ImportPlan, choose, plan_import
from simulator.kinds import KINDS
from simulator.writes import ENDINGS, PACES, Ending, Pace

WAITING = ("cancelled", "waiting")


def all_events(plan: ImportPlan) -> list[Event]:
    """Return all events of a plan, with the selection right after the opening if it has none."""
    after = plan.selected_after or plan.opening[-1].offset
    return [*plan.opening, *(replace(e, offset=after + e.offset) for e in plan.rest)]


def final_count(plan: ImportPlan) -> dict[str, Any]:
    count: dict[str, Any] = {}
    for event in all_events(plan):
        count |= event.count
    return count


def steps(plan: ImportPlan) -> list[str]:
    return list(dict.fromkeys(event.status.removeprefix("importer_") for event in all_events(plan)))


def combinations() -> list[tuple[str, Ending, Pace]]:
    return [
        (kind, ending, pace)
        for kind in KINDS
        for ending in ENDINGS
        for pace in PACES
        if KINDS[kind].selects or ending not in WAITING
    ]


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize(("kind", "ending", "pace"), combinations())
def test_times_and_counters_never_decrease(kind: str, ending: Ending, pace: Pace) -> None:
    for records in (None, 1, 7):
        assert_monotone(kind, ending, pace, records)


def assert_monotone(kind: str, ending: Ending, pace: Pace, records: int | None) -> None:
    plan = plan_import(
        KINDS[kind], random.Random(1), ending=ending, pace=pace, records=records, seconds=300
    )
    for part in (plan.opening, plan.rest):
        assert all(a.offset <= b.offset for a, b in pairwise(part))
        assert all(round(event.offset, 3) == event.offset >= 0 for event in part)
    assert plan.opening[0] == Event(0, kinds.NEW)
    count: dict[str, int] = {}
    for event in all_events(plan):
        assert all(number >= count.get(key, 0) for key, number in event.count.items())
        count |= event.count


def test_same_seed_gives_same_plan() -> None:
    plans = [plan_import(KINDS["slack"], random.Random("x"), ending="failed") for _ in range(2)]
    assert plans[0] == plans[1]
    assert plans[0] != plan_import(KINDS["slack"], random.Random("y"), ending="failed")


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["done", "done-with-errors", "done-short", "failed"])
def test_import_takes_its_seconds(kind: str, ending: Ending) -> None:
    plan = plan_import(KINDS[kind], random.Random(1), ending=ending, seconds=32_400)
    assert all_events(plan)[-1].offset == pytest.approx(32_400, abs=0.002)
    assert all_events(plan)[-1].status == (kinds.FAILED if ending == "failed" else kinds.DONE)


def test_steps_of_each_kind() -> None:
    def of(kind: str, era: Era = Era.V8) -> list[str]:
        return steps(plan_import(KINDS[kind], random.Random(1), era=era))

    tail = ["importing_started", "importing_users", "importing_contacts", "importing_channels"]
    tail += ["importing_messages", "finishing", "done"]
    loaded = ["new", "uploading", "file_loaded"]
    csv = ["preparing_channels", "preparing_messages", "preparing_users", "user_selection"]
    assert of("csv") == [*loaded, *csv, *tail]
    slack = ["preparing_channels", "preparing_users", "preparing_messages", "user_selection"]
    assert of("slack") == [*loaded, *slack, *tail]
    assert of("api") == ["new", "user_selection", *tail]
    assert "importing_contacts" not in of("csv", Era.V6_14)
    assert "importing_contacts" in of("omnichannel_contact", Era.V6_14)
    for kind in ("pending-files", "pending-avatars"):
        assert of(kind) == ["new", "preparing_started", "importing_files", "done"]


SIZES = {"users": 120, "channels": 4, "messages": 1200}


def counters_of(
    kind: str, era: Era, records: Any, ending: Ending = "done"
) -> list[tuple[int, ...]]:
    """Return the different `completed` and `error` that are written, in order."""
    plan = plan_import(KINDS[kind], random.Random(1), era=era, records=records, ending=ending)
    counts = [event.count for event in all_events(plan) if "completed" in event.count]
    return [(count["completed"], count.get("error", 0)) for count in counts]


def test_counters_are_written_at_strides_and_at_the_total() -> None:
    def completed(kind: str, era: Era, records: Any) -> list[int]:
        return [completed for completed, _ in counters_of(kind, era, records)]

    assert completed("csv", Era.V5, SIZES) == [500, 1000, 1324]
    assert completed("csv", Era.V6_14, SIZES) == [50, 100, 500, 1000, 1324]
    # Since the contacts rework, users count twice, and every record after the total is written.
    assert completed("csv", Era.V8, SIZES) == [50, 100, 240, 500, 1000, *range(1324, 1445)]
    assert completed("pending-avatars", Era.V6_14, 1200) == [500, 1000, 1200]
    assert completed("pending-avatars", Era.V8, 120) == [50, 100, 120]
    assert completed("api", Era.V8, 120) == [50, 100, 120]


def test_versions_up_to_6_2_can_lack_a_total() -> None:
    def counts(kind: str) -> list[Mapping[str, Any]]:
        plan = plan_import(KINDS[kind], random.Random(1), era=Era.V6_2, records=3)
        return [event.count for event in all_events(plan)]

    assert not any("total" in count for count in counts("csv"))
    assert [count["completed"] for count in counts("csv") if "completed" in count] == [1, 2, 3]
    assert counts("pending-files")[-2]["total"] == "0[object Promise]"
    assert not any("completed" in count for count in counts("pending-files"))
    assert final_count(plan_import(KINDS["slack"], random.Random(1), era=Era.V6_2, records=3)) == {
        "messages": 3,
        "total": 3,
        "completed": 3,
    }


@pytest.mark.parametrize(
    ("kind", "era", "counts"),
    [
        # (completed, error) in addition to the records that were imported.
        ("csv", Era.V5, (0, 0)),
        ("csv", Era.V6_14, (1, 0)),
        ("pending-files", Era.V6_14, (1, 0)),
        ("api", Era.V6_14, (0, 1)),
        ("api", Era.V8, (0, 1)),
        ("pending-files", Era.V8, (0, 1)),
        ("pending-avatars", Era.V8, (1, 0)),
        ("omnichannel_contact", Era.V8, (1, 0)),
    ],
)
def test_failed_records_are_counted_by_era(kind: str, era: Era, counts: tuple[int, int]) -> None:
    part = next(iter(KINDS[kind].shares))
    plan = plan_import(
        KINDS[kind], random.Random(1), era=era, records={part: 500}, ending="done-with-errors"
    )
    failed = 500 - all_events(plan)[-1].imported[part]
    assert failed > 0
    written = counters_of(kind, era, {part: 500}, "done-with-errors")
    if era is Era.V5:
        assert written == []  # the 500th was never counted
    else:
        assert written[-1] == (500 - failed + counts[0] * failed, counts[1] * failed)


def test_failed_users_are_completed_and_errors_since_the_contacts_rework() -> None:
    plan = plan_import(
        KINDS["csv"], random.Random(1), records={"users": 100}, ending="done-with-errors"
    )
    failed = 100 - all_events(plan)[-1].imported["users"]
    assert counters_of("csv", Era.V8, {"users": 100}, "done-with-errors")[-1] == (
        200 - failed,
        failed,
    )


def test_counters_of_each_ending() -> None:
    def of(ending: Ending, records: int = 135, kind: str = "csv") -> dict[str, Any]:
        return final_count(
            plan_import(
                KINDS[kind], random.Random(1), ending=ending, records=records, era=Era.V6_14
            )
        )

    assert of("done") == {
        "channels": 2,
        "users": 13,
        "messages": 120,
        "total": 135,
        "completed": 135,
        "error": 0,
    }
    errors = of("done-with-errors", kind="api")
    assert errors["error"] > 0
    assert errors["error"] + errors["completed"] == errors["total"]
    short = of("done-short", 3000)
    assert short["error"] == 0
    assert short["completed"] < short["total"]
    assert of("done-short", 135, "pending-files")["completed"] == 135
    assert (of("overshoot")["completed"], of("overshoot")["total"]) == (179, 135)
    assert of("done", 40, "omnichannel_contact")["contacts"] == 40
    assert of("done", 40, "pending-files")["messages"] == 40


def test_last_pending_files_arrive_after_done() -> None:
    events = all_events(plan_import(KINDS["pending-files"], random.Random(1), records=25))
    done, last = events[-2:]
    assert (done.status, last.status) == (kinds.DONE, kinds.DONE)
    assert (done.count, done.imported) == ({}, {"files": 15})
    assert last.count == {"completed": 25, "error": 0}
    assert last.offset == 600
    assert 60 < last.offset - done.offset <= 241


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (0.5, {"users": 60, "channels": 2, "messages": 600}),
        (662, {"users": 60, "channels": 2, "messages": 600}),
        ({"users": 7}, {"users": 7}),
        (0.0001, {"users": 1, "channels": 0, "messages": 0}),
    ],
)
def test_choice_is_a_fraction_a_number_or_numbers_by_type(
    choice: Choice, chosen: dict[str, int]
) -> None:
    assert choose(SIZES, choice) == chosen


@pytest.mark.parametrize("choice", [0, 0.0, -1, 1.5, 1325, {"users": 121}, {"files": 1}, {}])
def test_impossible_choice_is_rejected(choice: Choice) -> None:
    with pytest.raises(ValueError, match="cannot choose"):
        choose(SIZES, choice)


@pytest.mark.parametrize("kind", KINDS)
def test_instant_import_takes_at_most_15_ms(kind: str) -> None:
    events = all_events(plan_import(KINDS[kind], random.Random(1), ending="instant"))
    assert 0 < events[-1].offset <= 0.015
    assert events[-1].status == kinds.DONE


def test_waiting_import_stops_and_cancelled_one_ends() -> None:
    waiting = plan_import(KINDS["csv"], random.Random(1), ending="waiting")
    assert waiting.opening[-1].status == kinds.USER_SELECTION
    assert waiting.selected_after is None
    assert waiting.rest[-1].status == kinds.DONE
    cancelled = plan_import(KINDS["csv"], random.Random(1), ending="cancelled")
    assert [e.status for e in cancelled.opening[-2:]] == [kinds.USER_SELECTION, kinds.CANCELLED]
    assert cancelled.opening[-1].offset == 600


@pytest.mark.parametrize("step", ["importer_preparing_users", "importer_importing_messages"])
def test_failed_import_fails_at_its_step(step: str) -> None:
    events = all_events(plan_import(KINDS["csv"], random.Random(1), ending="failed", step=step))
    assert [event.status for event in events[-2:]] == [step, kinds.FAILED]


def test_stuck_import_stops_in_the_middle_and_continues() -> None:
    free = all_events(plan_import(KINDS["csv"], random.Random(1)))
    stuck = all_events(plan_import(KINDS["csv"], random.Random(1), ending="stuck", stuck_for=5000))
    assert stuck[-1].offset == pytest.approx(free[-1].offset + 5000)
    at, gap = max(enumerate(b.offset - a.offset for a, b in pairwise(stuck)), key=lambda g: g[1])
    assert gap >= 5000
    assert 0 < stuck[at].count["completed"] < final_count(ImportPlan(tuple(stuck)))["total"]


def test_stuck_import_can_stop_for_ever_at_a_step() -> None:
    step = "importer_importing_users"
    plan = plan_import(
        KINDS["csv"], random.Random(1), ending="stuck", step=step, stuck_for=math.inf
    )
    assert all_events(plan)[-1].status == step


def test_paces_distribute_records_differently() -> None:
    def half_way(pace: Pace) -> float:
        """Return the share of the working time after which half of the records are done."""
        events = all_events(
            plan_import(KINDS["slack-users"], random.Random(1), pace=pace, records=5000)
        )
        work = [e for e in events if e.status == "importer_importing_users"]
        half = next(e for e in work if e.count.get("completed", 0) >= 2500)
        return (half.offset - work[0].offset) / (work[-1].offset - work[0].offset)

    assert half_way("steady") == pytest.approx(0.5, abs=0.03)
    assert half_way("slowing") < 0.4
    gaps = [b.offset - a.offset for a, b in pairwise(bursty_work())]
    assert max(gaps) > 20 * sorted(gaps)[len(gaps) // 2]


def bursty_work() -> list[Event]:
    events = all_events(
        plan_import(KINDS["slack-users"], random.Random(1), pace="bursty", records=5000)
    )
    return [e for e in events if "completed" in e.count]


def test_growing_total_is_never_exceeded() -> None:
    plan = plan_import(KINDS["csv"], random.Random(1), pace="growing", records=5000, era=Era.V6_14)
    events = all_events(plan)
    totals = [event.count["total"] for event in events if "total" in event.count]
    assert totals[0] == 3000
    assert totals[-1] == 5000
    assert all(
        e.count.get("completed", 0) <= e.count["total"] for e in events if "total" in e.count
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("csv", {"ending": "well"}),
        ("csv", {"pace": "brisk"}),
        ("csv", {"seconds": 0}),
        ("csv", {"records": 0}),
        ("csv", {"ending": "stuck", "stuck_for": -1}),
        ("csv", {"ending": "failed", "step": "importer_importing_files"}),
        ("pending-files", {"ending": "waiting"}),
        ("pending-avatars", {"ending": "cancelled"}),
    ],
)
def test_invalid_options_are_rejected(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown|greater than 0|does not|never waits"):
        plan_import(KINDS[kind], random.Random(1), **options)
