"""The judgement: what is stored, held against what really happened."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from importmonitor.choices import Event
from simulator.kinds import FINISHED, NEW, USER_SELECTION
from tests.truth.answers import Answers, Believed
from tests.truth.conf import DEADLINE, STALLED_AFTER, UNREACHABLE_AFTER, WAITING_AFTER
from tests.truth.figures import (
    DOUBLE,
    FALSE_INTERRUPTED,
    FALSE_STALLS,
    FIGURES,
    FINISHED_AT,
    MISSED,
    MISSED_STALLS,
    MOVED,
    OUTCOMES,
    OVERLAPS,
    TWICE,
    UNTOLD,
)
from tests.truth.life import Life
from tests.truth.truth import Import

if TYPE_CHECKING:
    # They can be had only when Django is set up; see `__main__`.
    from importmonitor.models import Alert, ImportOperation, StatusTransition

DONES = {"done", "done_with_errors", "incomplete"}
#: As long as an ordinary look may take, which says nothing of when in it an answer was taken.
A_LOOK = timedelta(seconds=DEADLINE * 2)


@dataclass
class Reported:
    """What is stored of one import."""

    row: "ImportOperation"
    transitions: "list[StatusTransition]"
    alerts: "list[Alert]"


class Judge(Answers):
    """Holds what is stored of a workspace against what really happened."""

    def __init__(self, life: Life) -> None:
        super().__init__(life)
        self.faults: dict[str, list[str]] = {name: [] for name in FIGURES}

    def judge(self) -> dict[str, list[str]]:
        """Return by figure what is wrong."""
        stored = self._stored()
        knowable = {
            each.remote_id
            for each in self.imports.values()
            if each.started_at >= self.known_since or each.remote_id in self.shown
        }
        self.faults[MISSED] += [self._named(each) for each in sorted(knowable ^ stored.keys())]
        for remote_id in sorted(knowable & stored.keys()):
            self._judge_one(self.imports[remote_id], stored[remote_id])
        self._judge_workspace()
        self.life.keep({remote_id: told.row.finished_at for remote_id, told in stored.items()})
        self.faults[MOVED] += self.life.moved
        self.faults[OVERLAPS] += self.life.out_of_turn
        return self.faults

    def _stored(self) -> dict[str, Reported]:
        from importmonitor.models import Alert, ImportOperation, StatusTransition

        rows = ImportOperation.objects.filter(workspace=self.life.name)
        stored = {row.pk: Reported(row, [], []) for row in rows}
        of_mine = StatusTransition.objects.filter(operation__workspace=self.life.name)
        for transition in of_mine.order_by("pk"):
            stored[transition.operation_id].transitions.append(transition)
        alerts = Alert.objects.filter(workspace=self.life.name, operation__isnull=False)
        for alert in alerts.order_by("pk"):
            stored[alert.operation_id or 0].alerts.append(alert)
        return {told.row.remote_id: told for told in stored.values()}

    def _named(self, remote_id: str, *more: object) -> str:
        number = self.imports[remote_id].number if remote_id in self.imports else "made up"
        return " ".join(map(str, (self.life.name, f"#{number}", remote_id, *more)))

    def _fault(self, figure: str, truly: Import, *more: object) -> None:
        self.faults[figure].append(self._named(truly.remote_id, *more))

    def _judge_one(self, truly: Import, told: Reported) -> None:
        ends = self.believed(truly)
        self._judge_outcome(truly, told, ends)
        self._judge_finished_at(truly, told)
        self._judge_transitions(truly, told, ends)
        self._judge_interrupted(truly, told)
        expected: Counter[str] = Counter(self._ends_to_tell(truly, ends))
        expected[Event.STARTED] = self._start_to_tell(truly)
        stalled = [each for each in told.transitions if each.reason == "stalled"]
        expected[Event.STALLED], expected[Event.RESUMED] = self._judge_stalls(truly, stalled)
        least, most = self._waits_to_tell(truly)
        alerts = Counter(alert.event for alert in told.alerts)
        expected[Event.WAITING] = min(max(alerts[Event.WAITING], least), most)
        self._compare_alerts(self._named(truly.remote_id), alerts, expected)
        self.faults[TWICE] += [
            self._named(truly.remote_id, alert.event, "sent", alert.attempts, "times")
            for alert in told.alerts
            if alert.attempts > 1
        ]

    def _compare_alerts(self, name: str, alerts: Counter[str], expected: Counter[str]) -> None:
        self.faults[TWICE] += [f"{name} {event}" for event in (alerts - expected).elements()]
        self.faults[UNTOLD] += [f"{name} {event}" for event in (expected - alerts).elements()]

    # Ends.

    def _judge_outcome(self, truly: Import, told: Reported, ends: list[Believed]) -> None:

        found = told.row.outcome
        expected: set[str | None] = {ends[-1].how if ends else None}
        if ends and ends[-1].how == "done":
            assert ends[-1].run.end is not None
            expected = {_flavour(truly.at(ends[-1].run.end + 1).count)}
            if truly.runs[-1] is not ends[-1].run:
                # It is at work again, and its counters are those of that.
                expected = {*DONES}
        if found not in expected:
            self._fault(OUTCOMES, truly, found, "and not", *expected)

    def _judge_finished_at(self, truly: Import, told: Reported) -> None:
        run, found = truly.runs[0], told.row.finished_at
        if run.end is None:
            if found is not None:
                self._fault(FINISHED_AT, truly, found, "and is not over")
            return
        seen = max(
            each
            for each in (self.first(self.reached, run.end), self.shown[truly.remote_id][0][0])
            if each is not None
        )
        until = self.looks[seen].ended
        if found is None or not run.ended_at <= found <= until:
            self._fault(FINISHED_AT, truly, found, "and not", run.ended_at, "to", until)

    def _judge_transitions(self, truly: Import, told: Reported, ends: list[Believed]) -> None:
        seen: Counter[tuple[str, str, str]] = Counter()
        ended = reopened = 0
        before = ""
        for each in told.transitions:
            if each.from_status != before:
                self._fault(DOUBLE, truly, f"{before} / {each.from_status} → {each.to_status}")
            before = each.to_status
            if each.from_status in FINISHED and each.to_status not in FINISHED:
                reopened += 1
                seen.clear()
            if each.reason not in ("stalled", "resumed"):
                seen[each.from_status, each.to_status, each.reason] += 1
            ended += each.to_status in FINISHED or each.reason in ("superseded", "invalidated")
        for key, count in seen.items():
            if count > 1:
                self._fault(DOUBLE, truly, *key, count, "times")
        if ended > len(ends):
            self._fault(DOUBLE, truly, ended, "ends, not", len(ends))
        if reopened > truly.prepared:
            self._fault(DOUBLE, truly, reopened, "times reopened, not", truly.prepared)
        if before != told.row.status:
            self._fault(DOUBLE, truly, f"ends with {before}, and is {told.row.status}")

    def _judge_interrupted(self, truly: Import, told: Reported) -> None:
        said = [each.observed_at for each in told.transitions if each.reason == "invalidated"]
        said += [each.created_at for each in told.alerts if each.event == Event.INTERRUPTED]
        if told.row.end_reason == "interrupted" and told.row.finished_at:
            said.append(self.looks[-1].ended)
        for at in said:
            if not any(run.how == "interrupted" and run.ended_at <= at for run in truly.runs):
                self._fault(FALSE_INTERRUPTED, truly, at)

    # Events.

    def _ends_to_tell(self, truly: Import, ends: list[Believed]) -> Iterator[str]:
        """Return the events of the ends: not twice the same, and none for the past."""
        before = ""
        for end in ends:
            event = {"failed": Event.FAILED, "interrupted": Event.INTERRUPTED}.get(
                end.how, Event.FINISHED
            )
            past = self.is_past(truly) and end.look == self.shown[truly.remote_id][0][0]
            if event != before and not past:
                yield event
            before = event

    def _start_to_tell(self, truly: Import) -> int:
        """Return 1 if it was new, and going, when it was shown for the first time."""
        look, happened = self.shown[truly.remote_id][0]
        newest = self.newest[look] == truly.number
        return int(not self.is_past(truly) and newest and truly.is_going(happened))

    def _judge_stalls(
        self, truly: Import, transitions: "list[StatusTransition]"
    ) -> tuple[int, int]:
        """Return how often it is to be told that it stalled, and that it moves again."""
        stalled: Counter[int] = Counter()
        resumed = 0
        for each in transitions:
            look = self.fetch_snapshot(each.observed_at)
            still = truly.standstill(self.known(truly, look))
            if still is None or each.observed_at - still.since < STALLED_AFTER:
                self._fault(FALSE_STALLS, truly, each.observed_at, still)
                continue
            stalled[still.begin] += 1
            if stalled[still.begin] == 1 and still.resumed:
                seen = next(
                    (see for see in self.shown[truly.remote_id] if see[1] > still.end), None
                )
                if seen and truly.is_going(seen[1]) and self.newest[seen[0]] == truly.number:
                    resumed += 1
        for still in truly.standstills:
            if still.status in (NEW, USER_SELECTION):
                continue
            looks = self.looks_in(truly, still)
            if looks is None or stalled[still.begin]:
                continue
            watched = self.watched[looks[1]] - self.watched[looks[0]]
            if watched >= STALLED_AFTER + A_LOOK:
                self._fault(MISSED_STALLS, truly, still, "watched for", watched)
        self.life.did["stalls told"] += len(stalled)
        return len(stalled), resumed

    def _waits_to_tell(self, truly: Import) -> tuple[int, int]:
        """Return how often it must, and how often it may be told that somebody is waited for."""
        least = most = 0
        for still in truly.standstills:
            if not still.first_run or still.status not in (NEW, USER_SELECTION):
                continue
            if looks := self.looks_in(truly, still):
                first, last = self.looks[looks[0]], self.looks[looks[1]]
                least += last.began - first.ended >= WAITING_AFTER
                most += last.ended - first.began >= WAITING_AFTER
        return least, most

    def _judge_workspace(self) -> None:
        from importmonitor.models import Alert

        expected: Counter[str] = Counter()
        since: datetime | None = None
        told = False
        for look in self.looks:
            if look.good:
                expected[Event.RECOVERED] += told
                since, told = None, False
                continue
            since = since or look.ended
            if not told and look.ended - since >= UNREACHABLE_AFTER:
                told = True
                expected[Event.UNREACHABLE] += 1
        mine = Alert.objects.filter(workspace=self.life.name, operation=None)
        alerts = Counter(mine.values_list("event", flat=True))
        self._compare_alerts(self.life.name, alerts, expected)


def _flavour(count: Mapping[str, Any]) -> str:
    if count.get("error"):
        return "done_with_errors"
    total, completed = count.get("total"), count.get("completed")
    if total is not None and completed is not None and completed < total:
        return "incomplete"
    return "done"
