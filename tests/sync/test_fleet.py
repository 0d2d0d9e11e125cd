"""Workspaces that a watch shares with other processes: which polls are due, and who does them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from importmonitor import conf
from importmonitor.models import Workspace
from importmonitor.sync.claims import Claim
from importmonitor.sync.fleet import Fleet
from importmonitor.sync.lease import release_process_leases
from importmonitor.sync.pool import CONCURRENCY
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID

pytestmark = pytest.mark.django_db
OPTIONS = {"URL": "https://chat.example.org", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}


class Clock:
    """The time of day, which only the test moves."""

    time = MONDAY

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def configure(settings: Any, count: int, **options: Any) -> None:
    aliases = [f"w{number}" for number in range(count)]
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, OPTIONS | options)}


def started(clock: Clock, *names: str, at_once: bool = False) -> Fleet:
    fleet = Fleet(names, spread=300.0, longest=300.0, now=clock)
    fleet.start(at_once=at_once)
    return fleet


def aliases(claims: list[Claim]) -> list[str]:
    return sorted(claim.config.alias for claim in claims)


def test_few_workspaces_are_due_at_once(settings: Any, clock: Clock) -> None:
    configure(settings, CONCURRENCY)
    fleet = started(clock)
    assert len(fleet.claim(1000)) == CONCURRENCY
    # As after a restart, when their polls are due later.
    Workspace.objects.update(due_at=clock() + timedelta(seconds=200), expires_at=None)
    assert len(started(clock).claim(1000)) == CONCURRENCY


def test_first_polls_of_many_are_spread_over_the_interval(settings: Any, clock: Clock) -> None:
    configure(settings, 1000)
    fleet = Fleet((), spread=60.0, longest=300.0, now=clock)
    fleet.start(at_once=False)
    due = []
    for _ in range(10):
        claims = fleet.claim(1000)
        due.append(len(claims))
        polled = Workspace.objects.filter(alias__in=aliases(claims))
        polled.update(due_at=clock() + timedelta(seconds=300))
        clock.advance(6)
    assert sum(due) >= 1000 - 4 * CONCURRENCY
    assert max(due) <= 4 * CONCURRENCY


def test_restart_keeps_the_schedule_of_many(settings: Any, clock: Clock) -> None:
    configure(settings, 100)
    started(clock)
    due = dict(Workspace.objects.values_list("alias", "due_at"))
    clock.advance(10)
    started(clock)
    assert dict(Workspace.objects.values_list("alias", "due_at")) == due
    assert len(started(clock, at_once=True).claim(1000)) == 100


def test_claim_is_three_queries_however_many_are_due(
    settings: Any, clock: Clock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # The beginning and the end of a transaction, where rows are locked.
    more = 2 if connection.features.has_select_for_update_skip_locked else 0
    configure(settings, 30)
    fleet = started(clock)
    with django_assert_num_queries(3 + more):
        claims = fleet.claim(20)
    assert len(set(aliases(claims))) == 20
    with django_assert_num_queries(3 + more):
        assert len(fleet.claim(20)) == 10
    with django_assert_num_queries(1 + more):
        assert fleet.claim(20) == []


def test_two_processes_never_claim_the_same(settings: Any, clock: Clock) -> None:
    configure(settings, 20)
    first, second = started(clock), started(clock)
    claims = [*first.claim(7), *second.claim(7), *first.claim(7), *second.claim(7)]
    assert sorted(aliases(claims)) == sorted(first.aliases())


def test_workspaces_of_a_killed_process_are_due_when_their_leases_end(
    settings: Any, clock: Clock
) -> None:
    configure(settings, 3, DEADLINE=10)
    killed, other = started(clock), started(clock)
    assert len(killed.claim(3)) == 3
    clock.advance(14.9)
    assert other.claim(3) == []
    assert 0 < (other.next_due() or 0) < 1
    clock.advance(0.2)
    assert len(other.claim(3)) == 3


def test_process_that_stops_hands_over_at_once(settings: Any, clock: Clock) -> None:
    configure(settings, 3)
    stopped, other = started(clock), started(clock)
    stopped.claim(3)
    release_process_leases(["w0", "w1", "w2"])
    Workspace.objects.update(due_at=clock())
    assert len(other.claim(3)) == 3


def test_released_workspaces_are_due_at_once(settings: Any, clock: Clock) -> None:
    configure(settings, 2)
    fleet = started(clock)
    [claim] = fleet.claim(1)
    later = clock() + timedelta(seconds=100)
    Workspace.objects.filter(alias="w1").update(holder=claim.holder, due_at=later)
    release_process_leases(["w0", "w1"])
    due = dict(Workspace.objects.values_list("alias", "due_at"))
    assert due["w0"] != claim.state.workspace.due_at
    # It was polled otherwise, and its schedule stays.
    assert due["w1"] == later


def test_workspace_that_must_not_be_polled_is_not_claimed(settings: Any, clock: Clock) -> None:
    configure(settings, 3)
    fleet = started(clock)
    soon = clock() + timedelta(seconds=20)
    Workspace.objects.filter(alias="w0").update(not_before=soon)
    Workspace.objects.filter(alias="w1").update(holder="another", expires_at=soon)
    assert aliases(fleet.claim(3)) == ["w2"]


def test_due_time_of_a_clock_that_was_ahead_is_not_believed(settings: Any, clock: Clock) -> None:
    configure(settings, 100)
    fleet = started(clock)
    Workspace.objects.update(due_at=clock() + timedelta(days=400))
    fleet.reread()
    assert len(fleet.claim(1000)) == 100


def test_wait_that_rocketchat_asked_for_is_believed(settings: Any, clock: Clock) -> None:
    configure(settings, 2)
    fleet = started(clock)
    later = clock() + timedelta(hours=12)
    Workspace.objects.filter(alias="w0").update(not_before=later, due_at=later)
    fleet.reread()
    assert aliases(fleet.claim(9)) == ["w1"]


def test_settings_are_read_again(settings: Any, clock: Clock) -> None:
    configure(settings, 2)
    fleet = started(clock)
    configure(settings, 3, DEADLINE=20)
    assert aliases(fleet.claim(9)) == ["w0", "w1"]
    fleet.reread()
    [claim] = fleet.claim(9)
    assert (claim.config.alias, claim.config.deadline) == ("w2", 20.0)
    configure(settings, 1)
    fleet.reread()
    clock.advance(3_600)
    assert aliases(fleet.claim(9)) == ["w0"]
    settings.IMPORTMONITOR = {"WORKSPACES": "nonsense"}
    with pytest.raises(Exception, match="no dotted path"):
        fleet.reread()
    clock.advance(3_600)
    assert aliases(fleet.claim(9)) == ["w0"]


def test_mistake_in_one_workspace_stops_no_other(
    settings: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="importmonitor")
    configure(settings, 2)
    fleet = started(clock)
    settings.IMPORTMONITOR["WORKSPACES"]["w0"] = OPTIONS | {"AUTH_TOKEN": ""}
    fleet.reread()
    assert aliases(fleet.claim(9)) == ["w1"]
    assert "w0" in caplog.text
    assert Workspace.objects.get(alias="w0").holder == ""
    # It is tried again, but not at once.
    settings.IMPORTMONITOR["WORKSPACES"]["w0"] = OPTIONS
    clock.advance(30)
    assert aliases(fleet.claim(9)) == []
    clock.advance(600)
    assert "w0" in aliases(fleet.claim(9))


def test_only_the_named_workspaces_are_polled(settings: Any, clock: Clock) -> None:
    configure(settings, 50)
    fleet = started(clock, "w3", "w41")
    assert aliases(fleet.claim(9)) == ["w3", "w41"]
    assert Workspace.objects.count() == 2
    assert ("w3" in fleet, "w4" in fleet, len(fleet)) == (True, False, 2)


def test_large_fleet_reads_only_what_is_due(settings: Any, clock: Clock) -> None:
    read: list[str] = []

    class Directory(dict[str, Any]):
        def __getitem__(self, alias: str) -> Any:
            read.append(alias)
            return super().__getitem__(alias)

    names = [f"w{number}" for number in range(1_500)]
    settings.IMPORTMONITOR = {"WORKSPACES": Directory.fromkeys(names, OPTIONS)}
    Workspace.objects.bulk_create([Workspace(alias=name, due_at=clock()) for name in names])
    fleet = started(clock)
    assert read == []
    assert len(fleet.claim(64)) == 64
    assert len(read) == 64
    assert conf.get_workspaces()
