"""The judgement: the stored history compared with what actually happened."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from importmonitor.choices import Event
from simulator.kinds import FINISHED, NEW, USER_SELECTION
from tests.truth.conf import DEADLINE, STALLED_AFTER, UNREACHABLE_AFTER, WAITING_AFTER
from tests.truth.evidence import Evidence, ShownEnd
from tests.truth.figures import (
    DOUBLE,
    FALSE_INTERRUPTED,
    FALSE_STALLS,
    FIGURES,
    FINISHED_AT,
    MISSED,
    MISSED_ALERTS,
    MISSED_STALLS,
    MOVED,
    OUTCOMES,
    OVERLAPS,
    UNFOUNDED,
)
from tests.truth.imports import Import
from tests.truth.poller import Poller

if TYPE_CHECKING:
    # Importable only after Django's setup; see `__main__`.
    from importmonitor.models import Alert, ImportOperation, StatusTransition

DONE_OUTCOMES = {"done", "done_with_errors", "incomplete"}
#: The longest that an ordinary poll takes; a response can be from any moment of it.
MAX_POLL = timedelta(seconds=DEADLINE * 2)


@dataclass
class StoredImport:
    """What is stored of one import."""

    row: "ImportOperation"
    transitions: "list[StatusTransition]"
    alerts: "list[Alert]"


class Judge(Evidence):
    """Compares what is stored of a workspace with what actually happened."""

    def __init__(self, poller: Poller) -> None:
        super().__init__(poller)
        self.faults: dict[str, list[str]] = {name: [] for name in FIGURES}

    def judge(self) -> dict[str, list[str]]:
        """Return the faults by figure."""
        stored = self._stored_imports()
        knowable = {
            actual.remote_id
            for actual in self.imports.values()
            if actual.started_at >= self.known_since or actual.remote_id in self.shown
        }
        self.faults[MISSED] += [
            self._describe(remote_id) for remote_id in sorted(knowable ^ stored.keys())
        ]
        for remote_id in sorted(knowable & stored.keys()):
            self._judge_import(self.imports[remote_id], stored[remote_id])
        self._judge_workspace()
        self.poller.record_finished_at(
            {remote_id: one.row.finished_at for remote_id, one in stored.items()}
        )
        self.faults[MOVED] += self.poller.moved
        self.faults[OVERLAPS] += self.poller.overlaps
        return self.faults

    def _stored_imports(self) -> dict[str, StoredImport]:
        from importmonitor.models import Alert, ImportOperation, StatusTransition

        name = self.poller.name
        rows = ImportOperation.objects.filter(workspace=name)
        stored = {row.pk: StoredImport(row, [], []) for row in rows}
        transitions = StatusTransition.objects.filter(operation__workspace=name)
        for transition in transitions.order_by("pk"):
            stored[transition.operation_id].transitions.append(transition)
        alerts = Alert.objects.filter(workspace=name, operation__isnull=False)
        for alert in alerts.order_by("pk"):
            stored[alert.operation_id or 0].alerts.append(alert)
        return {one.row.remote_id: one for one in stored.values()}

    def _describe(self, remote_id: str, *details: object) -> str:
        number = self.imports[remote_id].number if remote_id in self.imports else "invented"
        return " ".join(map(str, (self.poller.name, f"#{number}", remote_id, *details)))

    def _add_fault(self, figure: str, actual: Import, *details: object) -> None:
        self.faults[figure].append(self._describe(actual.remote_id, *details))

    def _judge_import(self, actual: Import, stored: StoredImport) -> None:
        ends = self.shown_ends(actual)
        self._judge_outcome(actual, stored, ends)
        self._judge_finished_at(actual, stored)
        self._judge_transitions(actual, stored, ends)
        self._judge_interrupted(actual, stored)
        expected: Counter[str] = Counter(self._expected_end_events(actual, ends))
        expected[Event.STARTED] = self._expected_start_events(actual)
        stalls = [row for row in stored.transitions if row.reason == "stalled"]
        expected[Event.STALLED], expected[Event.RESUMED] = self._judge_stalls(actual, stalls)
        minimum, maximum = self._expected_waiting_events(actual)
        alerts = Counter(alert.event for alert in stored.alerts)
        expected[Event.WAITING] = min(max(alerts[Event.WAITING], minimum), maximum)
        self._compare_alerts(self._describe(actual.remote_id), alerts, expected)
        self.faults[UNFOUNDED] += [
            self._describe(actual.remote_id, alert.event, "sent", alert.attempts, "times")
            for alert in stored.alerts
            if alert.attempts > 1
        ]

    def _compare_alerts(self, name: str, alerts: Counter[str], expected: Counter[str]) -> None:
        self.faults[UNFOUNDED] += [f"{name} {event}" for event in (alerts - expected).elements()]
        self.faults[MISSED_ALERTS] += [
            f"{name} {event}" for event in (expected - alerts).elements()
        ]

    # Ends.

    def _judge_outcome(self, actual: Import, stored: StoredImport, ends: list[ShownEnd]) -> None:
        expected: set[str | None] = {ends[-1].how if ends else None}
        if ends and ends[-1].how == "done":
            assert ends[-1].run.end is not None
            expected = {_done_outcome(actual.at(ends[-1].run.end + 1).count)}
            if actual.runs[-1] is not ends[-1].run:
                # It runs again, and its counters are those of the new run.
                expected = {*DONE_OUTCOMES}
        if stored.row.outcome not in expected:
            self._add_fault(OUTCOMES, actual, stored.row.outcome, "and not", *expected)

    def _judge_finished_at(self, actual: Import, stored: StoredImport) -> None:
        run, finished_at = actual.runs[0], stored.row.finished_at
        if run.end is None:
            if finished_at is not None:
                self._add_fault(FINISHED_AT, actual, finished_at, "and is not over")
            return
        shown = max(
            poll
            for poll in (
                self.first_above(self.reached, run.end),
                self.shown[actual.remote_id][0][0],
            )
            if poll is not None
        )
        until = self.polls[shown].ended
        if finished_at is None or not run.ended_at <= finished_at <= until:
            self._add_fault(FINISHED_AT, actual, finished_at, "not", run.ended_at, "to", until)

    def _judge_transitions(
        self, actual: Import, stored: StoredImport, ends: list[ShownEnd]
    ) -> None:
        counts: Counter[tuple[str, str, str]] = Counter()
        ended = reopened = 0
        before = ""
        for row in stored.transitions:
            if row.from_status != before:
                self._add_fault(DOUBLE, actual, f"{before} / {row.from_status} → {row.to_status}")
            before = row.to_status
            if row.from_status in FINISHED and row.to_status not in FINISHED:
                reopened += 1
                counts.clear()
            if row.reason not in ("stalled", "resumed"):
                counts[row.from_status, row.to_status, row.reason] += 1
            ended += row.to_status in FINISHED or row.reason in ("superseded", "invalidated")
        for key, count in counts.items():
            if count > 1:
                self._add_fault(DOUBLE, actual, *key, count, "times")
        if ended > len(ends):
            self._add_fault(DOUBLE, actual, ended, "ends, not", len(ends))
        if reopened > actual.prepared:
            self._add_fault(DOUBLE, actual, reopened, "times reopened, not", actual.prepared)
        if before != stored.row.status:
            self._add_fault(DOUBLE, actual, f"ends with {before}, and is {stored.row.status}")

    def _judge_interrupted(self, actual: Import, stored: StoredImport) -> None:
        times = [row.observed_at for row in stored.transitions if row.reason == "invalidated"]
        times += [alert.created_at for alert in stored.alerts if alert.event == Event.INTERRUPTED]
        if stored.row.end_reason == "interrupted" and stored.row.finished_at:
            times.append(self.polls[-1].ended)
        for at in times:
            if not any(run.how == "interrupted" and run.ended_at <= at for run in actual.runs):
                self._add_fault(FALSE_INTERRUPTED, actual, at)

    # Events.

    def _expected_end_events(self, actual: Import, ends: list[ShownEnd]) -> Iterator[str]:
        """Return the events of the ends: no event twice in a row, and none for the past."""
        before = ""
        for end in ends:
            event = {"failed": Event.FAILED, "interrupted": Event.INTERRUPTED}.get(
                end.how, Event.FINISHED
            )
            is_past = self.is_past(actual) and end.poll == self.shown[actual.remote_id][0][0]
            if event != before and not is_past:
                yield event
            before = event

    def _expected_start_events(self, actual: Import) -> int:
        """Return 1 if it was the newest, and active, when it was first shown."""
        poll, happened = self.shown[actual.remote_id][0]
        is_newest = self.newest[poll] == actual.number
        return int(not self.is_past(actual) and is_newest and actual.is_active(happened))

    def _judge_stalls(
        self, actual: Import, transitions: "list[StatusTransition]"
    ) -> tuple[int, int]:
        """Return the expected numbers of alerts that it stalled and that it resumed."""
        stalled: Counter[int] = Counter()
        resumed = 0
        for row in transitions:
            known = self.known(actual, self.poll_at(row.observed_at))
            standstill = actual.standstill(known)
            if standstill is None or row.observed_at - standstill.since < STALLED_AFTER:
                self._add_fault(FALSE_STALLS, actual, row.observed_at, standstill)
                continue
            stalled[standstill.begin] += 1
            if stalled[standstill.begin] == 1 and standstill.resumed:
                resumed += self._was_resumption_shown(actual, standstill.end)
        for standstill in actual.standstills:
            if standstill.status in (NEW, USER_SELECTION):
                continue
            polls = self.polls_during(actual, standstill)
            if polls is None or stalled[standstill.begin]:
                continue
            watched = self.watched[polls[1]] - self.watched[polls[0]]
            if watched >= STALLED_AFTER + MAX_POLL:
                self._add_fault(MISSED_STALLS, actual, standstill, "watched for", watched)
        self.poller.did["stalls"] += len(stalled)
        return len(stalled), resumed

    def _was_resumption_shown(self, actual: Import, end: int) -> bool:
        """Return whether it was the newest, and active, when it was first shown after `end`."""
        shown = next((view for view in self.shown[actual.remote_id] if view[1] > end), None)
        if shown is None:
            return False
        poll, happened = shown
        return actual.is_active(happened) and self.newest[poll] == actual.number

    def _expected_waiting_events(self, actual: Import) -> tuple[int, int]:
        """Return the minimum and the maximum number of alerts that it waits for input."""
        minimum = maximum = 0
        for standstill in actual.standstills:
            if not standstill.first_run or standstill.status not in (NEW, USER_SELECTION):
                continue
            if polls := self.polls_during(actual, standstill):
                first, last = self.polls[polls[0]], self.polls[polls[1]]
                minimum += last.began - first.ended >= WAITING_AFTER
                maximum += last.ended - first.began >= WAITING_AFTER
        return minimum, maximum

    def _judge_workspace(self) -> None:
        from importmonitor.models import Alert

        expected: Counter[str] = Counter()
        since: datetime | None = None
        is_reported = False
        for poll in self.polls:
            if poll.good:
                expected[Event.RECOVERED] += is_reported
                since, is_reported = None, False
                continue
            since = since or poll.ended
            if not is_reported and poll.ended - since >= UNREACHABLE_AFTER:
                is_reported = True
                expected[Event.UNREACHABLE] += 1
        rows = Alert.objects.filter(workspace=self.poller.name, operation=None)
        alerts = Counter(rows.values_list("event", flat=True))
        self._compare_alerts(self.poller.name, alerts, expected)


def _done_outcome(count: Mapping[str, Any]) -> str:
    if count.get("error"):
        return "done_with_errors"
    total, completed = count.get("total"), count.get("completed")
    if total is not None and completed is not None and completed < total:
        return "incomplete"
    return "done"
