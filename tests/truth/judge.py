"""The judgement: the stored history compared with what actually happened."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from importmonitor.choices import Event
from simulator.kinds import DONE, FINISHED
from simulator.operations import LogEntry
from tests.truth.conf import ALL, DEADLINE, STALLED_AFTER, UNREACHABLE_AFTER, WAITING_AFTER
from tests.truth.evidence import MAX_SILENCE, RESTING, Evidence
from tests.truth.figures import (
    DOUBLE,
    FALSE_INTERRUPTED,
    FALSE_STALLS,
    FIGURES,
    FINISHED_AT,
    GONE,
    LATE,
    MISSED,
    MISSED_ALERTS,
    MISSED_STALLS,
    MOVED,
    OUTCOMES,
    OVERLAPS,
    PERCENT,
    STARTED_AT,
    UNFOUNDED,
)
from tests.truth.imports import WORDS, Import, Run, Standstill
from tests.truth.poller import Poller

if TYPE_CHECKING:
    # Importable only after Django's setup; see `__main__`.
    from importmonitor.models import Alert, ImportOperation, StatusTransition

ASIDE = {"interrupted", "superseded"}
#: The longest that an ordinary poll takes; a response can be from any moment of it.
MAX_POLL = timedelta(seconds=DEADLINE * 2)
#: The difference of two clocks is known to the second.
CLOCK_ERROR = timedelta(seconds=2)
#: A newer import that follows an invalidation within this time is what caused it.
SUPERSESSION_PAUSE = timedelta(minutes=2)
#: Pending files that are done may still arrive for this long.
SETTLING_TIME = timedelta(minutes=5)
#: The list shows the end of an import that is no longer current so soon.
MAX_LIST_PAUSE = timedelta(hours=1)


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
        self.poller.record_finished_at(
            {remote_id: one.row.finished_at for remote_id, one in stored.items()}
        )
        knowable = {
            actual.remote_id
            for actual in self.imports.values()
            if actual.remote_id in self.shown
            or (actual.started_at >= self.known_since and actual.removed is None)
        }
        self.faults[MISSED] += [
            self._describe(remote_id) for remote_id in sorted(knowable ^ stored.keys())
        ]
        for remote_id in sorted(knowable & stored.keys()):
            self._judge_import(self.imports[remote_id], stored[remote_id])
        self._judge_workspace()
        self.faults[PERCENT] += self.poller.premature
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
        alerts = Alert.objects.filter(workspace=name, channel=ALL, operation__isnull=False)
        for alert in alerts.order_by("pk"):
            stored[alert.operation_id or 0].alerts.append(alert)
        return {one.row.remote_id: one for one in stored.values()}

    def _describe(self, remote_id: str, *details: object) -> str:
        if (actual := self.imports.get(remote_id)) is None:
            return f"{self.poller.name} {remote_id} is invented"
        what = f"{self.poller.name} #{actual.number} {actual.era}/{actual.kind.key}"
        return " ".join(map(str, (what, remote_id, *details)))

    def _add_fault(self, figure: str, actual: Import, *details: object) -> None:
        self.faults[figure].append(self._describe(actual.remote_id, *details))

    def _judge_import(self, actual: Import, stored: StoredImport) -> None:
        self._judge_outcome(actual, stored)
        self._judge_started_at(actual, stored)
        self._judge_finished_at(actual, stored)
        self._judge_gone_at(actual, stored)
        self._judge_transitions(actual, stored)
        self._judge_interrupted(actual, stored)
        self._judge_list(actual)
        self._judge_end_alerts(actual, stored)
        stalls = [row for row in stored.transitions if row.reason == "stalled"]
        expected = {
            Event.STARTED: self._expected_start_events(actual),
            Event.WAITING: self._expected_waiting_events(actual),
            **self._judge_stalls(actual, stalls),
        }
        alerts = Counter(alert.event for alert in stored.alerts)
        for event, (minimum, maximum) in expected.items():
            self._compare(actual, event, alerts[event], minimum, maximum)
        self.faults[UNFOUNDED] += [
            self._describe(actual.remote_id, alert.event, "sent", alert.attempts, "times")
            for alert in stored.alerts
            if alert.attempts > 1
        ]

    def _compare(
        self, actual: Import, what: object, number: int, minimum: int, maximum: int
    ) -> None:
        if number > maximum:
            self._add_fault(UNFOUNDED, actual, what, number, "and not", maximum)
        if number < minimum:
            self._add_fault(MISSED_ALERTS, actual, what, number, "and not", minimum)

    # Ends.

    def _outcomes(self, actual: Import, run: Run) -> set[str]:
        """Return the right outcomes of a run, of which there is usually one; "": not over."""
        if run.how == "removed":
            return ASIDE
        if run.how == "silent":
            return self._outcomes_of_silence(actual)
        if self.first_shown(actual, run.sign) is None:
            # Its end never was in a response. It is concluded from what was.
            return {"", *ASIDE}
        if run.how == "stopped":
            return self._aside(actual, run)
        assert run.word is not None
        entry = actual.at(run.word + 1)
        word = WORDS[str(entry.status)]
        last = actual.at((run.arrived or run.word) + 1)
        by_word = _outcomes_by_counters(actual, last) if word == "done" else {word}
        is_aborted = not actual.runs_on and self.was_seen_invalid(actual, run)
        if not is_aborted or word == "canceled":
            return by_word
        # One that had imported everything looks like one that was aborted.
        return self._aside(actual, run) | (set() if run.how == "aborted" else by_word)

    def _outcomes_of_silence(self, actual: Import) -> set[str]:
        last = actual.entries[-1]
        hidden = self.successor(actual) is not None
        if not last.valid:
            return {"interrupted", "superseded"} if hidden else {"interrupted"}
        return {"superseded"} if hidden and actual.removed is None else {""}

    def _aside(self, actual: Import, run: Run) -> set[str]:
        """Return whether one that was put aside was superseded or interrupted."""
        successor = self.successor(actual)
        if successor is None:
            return {"interrupted"}
        shown = self.first_shown(successor, 0) or 0
        if successor.removed is not None or self.is_clock_unknown(actual.started_at, shown):
            return ASIDE
        seen = self.first_shown(actual, run.invalid)
        poll = self.polls[shown if seen is None else seen]
        if self.poller.called_at[successor.remote_id] <= poll.ended < successor.started_at:
            # It was invalidated twice: for the second time by one that was not inserted yet.
            return ASIDE
        if not actual.era.aborts_invalid_imports:
            # A new import hides one that rests, and invalidates nothing.
            if seen is None:
                return {"superseded"}
            return {"interrupted"} if seen < shown else ASIDE
        if run.is_superseded:
            # The newer one may have been deleted before it was shown.
            return {"superseded"} if successor.number == actual.number + 1 else ASIDE
        if seen is None or seen >= shown:
            # The newer import has rewritten the time of the invalidation.
            return {"superseded"}
        pause = successor.started_at - self.last_bulk_write(self.known(actual, seen))
        if abs(pause - SUPERSESSION_PAUSE) <= 2 * CLOCK_ERROR:
            return ASIDE
        return {"interrupted" if pause > SUPERSESSION_PAUSE else "superseded"}

    def _has_provisional_end(self, actual: Import, run: Run) -> bool:
        """Return whether a run that goes on may be called interrupted, or superseded, for a while.

        Up to 6.2 because it is invalid, and otherwise because it is silent.
        """
        if not actual.runs_on or run.how in ("stopped", "removed"):
            return False
        if run.invalid is not None and not actual.is_pending:
            return True
        since = run.hidden if run.invalid is None else run.invalid
        return since is not None and self._was_silent(
            actual, self.log[since].at, self.polls[-1].ended
        )

    def _was_silent(self, actual: Import, since: datetime, until: datetime) -> bool:
        """Return whether it was silent for so long by a time that it seemed to be killed."""
        times = [entry.at for entry in actual.entries if entry.event in ("started", "moved")]
        pauses = zip(times, [*times[1:], until], strict=True)
        return any(
            min(end, until) - begin >= MAX_SILENCE - CLOCK_ERROR and end >= since
            for begin, end in pauses
        )

    def _last_run(self, actual: Import) -> Run:
        """Return the last run that is over, or else the first."""
        over = [run for run in actual.runs if self.first_shown(actual, run.sign) is not None]
        return over[-1] if over else actual.runs[0]

    def _judge_outcome(self, actual: Import, stored: StoredImport) -> None:
        run = self._last_run(actual)
        expected = self._outcomes(actual, run)
        if run.how == "done" and run is not actual.runs[-1]:
            # It runs again, and its counters are those of the new run.
            expected = {"done", "done_with_errors", "incomplete"}
        if stored.row.outcome not in expected:
            self._add_fault(OUTCOMES, actual, stored.row.outcome, "and not", *expected, run)

    def _judge_started_at(self, actual: Import, stored: StoredImport) -> None:
        first = self.shown[actual.remote_id][0][0]
        difference = abs(stored.row.started_at - actual.started_at)
        if difference > CLOCK_ERROR and not self.is_clock_unknown(actual.started_at, first):
            self._add_fault(STARTED_AT, actual, stored.row.started_at, "not", actual.started_at)

    def _judge_finished_at(self, actual: Import, stored: StoredImport) -> None:
        run, finished_at = actual.runs[0], stored.row.finished_at
        shown = self.first_shown(actual, run.arrived or run.sign)
        if shown is None and finished_at is None:
            return
        first = self._earliest_end(actual, run)
        until = self.polls[-1].ended
        if shown is not None and run.how != "removed":
            until = self._concluded_at(actual, run, shown)
        since = actual.started_at - timedelta(hours=1)
        if self.is_clock_unknown(since, shown or len(self.polls) - 1):
            # By a clock that was wrong, or its place among imports whose times are.
            first = min(actual.started_at, stored.row.started_at)
        if finished_at is None or not first - CLOCK_ERROR <= finished_at <= until:
            self._add_fault(FINISHED_AT, actual, finished_at, "not", first, "to", until, run)
        for remote_id, before, after in self.poller.moved:
            if remote_id == actual.remote_id and not self._has_provisional_end(actual, run):
                self._add_fault(MOVED, actual, before, "to", after, run)

    def _earliest_end(self, actual: Import, run: Run) -> datetime:
        """Return from when on an import may be called ended."""
        if actual.runs_on and (
            run.how == "removed" or self._was_silent(actual, actual.started_at, run.ended_at)
        ):
            # It seemed to be killed before.
            return actual.started_at
        places = [] if actual.runs_on and run.how != "stopped" else [run.invalid, run.hidden]
        times = [self.log[place].at for place in places if place is not None]
        return min([run.ended_at, *times])

    def _concluded_at(self, actual: Import, run: Run, shown: int) -> datetime:
        """Return the time of the poll that may conclude an end."""
        later = [poll for poll in self.polls[shown:] if poll.good]
        if run.word is None:
            # The list can show a newer one sooner than Rocket.Chat calls it current.
            hidden = (poll for poll in later if poll.current_id != actual.remote_id)
            return next(hidden, later[-1]).ended if run.invalid != run.sign else later[0].ended
        if actual.kind.key != "pending-files":
            return later[0].ended
        settled = (poll for poll in later if poll.ended - later[0].ended >= SETTLING_TIME)
        return next(settled, later[-1]).ended

    def _judge_gone_at(self, actual: Import, stored: StoredImport) -> None:
        if stored.row.gone_at is None:
            return
        if actual.removed is None or stored.row.gone_at < self.log[actual.removed].at:
            self._add_fault(GONE, actual, stored.row.gone_at)

    def _judge_list(self, actual: Import) -> None:
        """Judge whether the end of an import that is no longer current is soon known."""
        run = actual.runs[0]
        end = run.arrived or run.word
        shown = self.first_shown(actual, end)
        if run.word is None or shown is None or actual.removed is not None or self.is_past(actual):
            return
        assert end is not None
        if actual.is_pending and self._has_provisional_end(actual, run):
            # It seemed to be killed, and is no longer followed.
            return
        if not actual.runs_on and self.was_seen_invalid(actual, run):
            # It was over when it was shown to be invalid.
            return
        hidden = [
            poll
            for poll in self.polls[bisect_left(self.newest, actual.number + 1) : shown]
            if poll.good and poll.current_id != actual.remote_id
        ]
        since = max(self.log[end].at, hidden[0].ended) if hidden else None
        for poll in hidden:
            if poll.list_failed:
                since = max(since or poll.ended, poll.ended)
            elif since and poll.began - since > MAX_LIST_PAUSE:
                self._add_fault(LATE, actual, poll.began, run)
                return

    def _judge_transitions(self, actual: Import, stored: StoredImport) -> None:
        rows = stored.transitions
        befores = ["", *(row.to_status for row in rows)]
        for before, row in zip(befores, rows, strict=False):
            if row.from_status != before:
                self._add_fault(DOUBLE, actual, f"{before} / {row.from_status} → {row.to_status}")
        if befores[-1] != stored.row.status:
            self._add_fault(DOUBLE, actual, f"ends with {befores[-1]}, is {stored.row.status}")
        ends = sum(row.from_status not in FINISHED and row.to_status in FINISHED for row in rows)
        if ends > actual.words:
            self._add_fault(DOUBLE, actual, ends, "ends, not", actual.words)
        reopened = [row for row in rows if _is_reopening(row)]
        if len(reopened) > actual.prepared:
            self._add_fault(DOUBLE, actual, len(reopened), "reopened, not", actual.prepared)
        self._judge_duplicates(actual, rows)

    def _judge_duplicates(self, actual: Import, rows: "list[StatusTransition]") -> None:
        seen: set[tuple[str, str, str]] = set()
        for row in rows:
            if _is_reopening(row) or row.reason == "continued":
                seen.clear()
            key = (row.from_status, row.to_status, row.reason)
            if key in seen and row.reason not in ("stalled", "resumed"):
                self._add_fault(DOUBLE, actual, *key, "twice")
            seen.add(key)

    def _judge_interrupted(self, actual: Import, stored: StoredImport) -> None:
        times = {row.observed_at for row in stored.transitions if row.reason == "invalidated"}
        times |= {alert.created_at for alert in stored.alerts if alert.event == Event.INTERRUPTED}
        for at in sorted(times):
            if not any(self._may_be_interrupted(actual, run, at) for run in actual.runs):
                self._add_fault(FALSE_INTERRUPTED, actual, at)

    def _may_be_interrupted(self, actual: Import, run: Run, at: datetime) -> bool:
        if run.how == "removed" and run.ended_at <= at:
            return True
        if run.invalid is None or self.log[run.invalid].at > at:
            return False
        word = self.first_shown(actual, run.word)
        if actual.runs_on and word is not None and self.polls[word].began <= at:
            return False
        return not actual.is_pending or self._was_silent(actual, self.log[run.invalid].at, at)

    # Events.

    def _judge_end_alerts(self, actual: Import, stored: StoredImport) -> None:
        """Judge that there is one alert about each end, and the right one."""
        possible: Counter[Event] = Counter()
        most = 0
        before: set[Event] = set()
        last: set[Event] = set()
        for run in actual.runs:
            outcomes = self._outcomes(actual, run) - {""}
            events = {_event(outcome) for outcome in outcomes}
            if "superseded" in outcomes:
                # It was called interrupted, and that had been sent.
                events.add(Event.INTERRUPTED)
            # Nothing is finished twice.
            if outcomes and events != before:
                possible.update(events)
                most += 1
                before = last = events
            if self._has_provisional_end(actual, run):
                possible.update([Event.INTERRUPTED if run.invalid else Event.FINISHED])
                most += 1
        ends = [alert for alert in stored.alerts if alert.event in _END_EVENTS]
        number = Counter(alert.event for alert in ends)
        for event in _END_EVENTS:
            self._compare(actual, event, number[event], 0, possible[event])
        self._compare(actual, "ends", len(ends), 0, most)
        first = self.shown[actual.remote_id][0]
        was_over = self.is_past(actual) and (
            self.seems_killed(actual, first[0])
            or not self.is_going(actual, first[1], is_hidden=self.is_hidden(actual, first[0]))
        )
        is_over = "" not in self._outcomes(actual, self._last_run(actual))
        if is_over and not was_over and not any(number[event] for event in last):
            self._add_fault(MISSED_ALERTS, actual, "no end of", *last, actual.runs)

    def _expected_start_events(self, actual: Import) -> tuple[int, int]:
        """Return 1 if it was not over when it was first shown, and is none of the past."""
        poll, happened = self.shown[actual.remote_id][0]
        if self.is_past(actual):
            return 0, 0
        entry = actual.at(happened)
        if entry.status == DONE and actual.kind.key == "pending-files":
            # Its last files may still arrive.
            return 0, int(self.polls[poll].ended - entry.at < SETTLING_TIME + CLOCK_ERROR)
        if self.seems_killed(actual, poll):
            return 0, 0
        is_hidden = self.is_hidden(actual, poll)
        return (int(self.is_going(actual, happened, is_hidden=is_hidden)),) * 2

    def _judge_stalls(
        self, actual: Import, transitions: "list[StatusTransition]"
    ) -> dict[Event, tuple[int, int]]:
        """Return the expected numbers of alerts that it stalled and that it resumed."""
        stalled: Counter[int] = Counter()
        least = most = 0
        for row in transitions:
            known = self.known(actual, self.poll_at(row.observed_at))
            standstill = actual.standstill(known)
            if standstill is None or row.observed_at - standstill.since < STALLED_AFTER:
                self._add_fault(FALSE_STALLS, actual, row.observed_at, standstill)
                continue
            stalled[standstill.begin] += 1
            if stalled[standstill.begin] == 1 and standstill.resumed:
                minimum, maximum = self._expected_resumption(actual, standstill)
                least, most = least + minimum, most + maximum
        for standstill in actual.standstills:
            if standstill.status in RESTING:
                continue
            polls = self.polls_during(actual, standstill)
            if polls is None or stalled[standstill.begin]:
                continue
            watched = self.watched[polls[1]] - self.watched[polls[0]]
            if watched >= STALLED_AFTER + MAX_POLL:
                self._add_fault(MISSED_STALLS, actual, standstill, "watched for", watched)
        self.poller.did["stalls"] += len(stalled)
        return {Event.STALLED: (len(stalled),) * 2, Event.RESUMED: (least, most)}

    def _expected_resumption(self, actual: Import, standstill: Standstill) -> tuple[int, int]:
        """Return 1 if it was current, and not over, when progress was first shown."""
        view = next((v for v in self.shown[actual.remote_id] if v[1] > standstill.end), None)
        if view is None or self.polls[view[0]].current_id != actual.remote_id:
            return 0, 0
        if actual.at(view[1]).status == DONE and actual.kind.key == "pending-files":
            # Its last files may still arrive.
            return 0, 1
        is_going = int(self.is_going(actual, view[1]))
        was_silent = self.log[standstill.end].at - standstill.since >= MAX_SILENCE
        return (0 if was_silent else is_going), is_going

    def _expected_waiting_events(self, actual: Import) -> tuple[int, int]:
        """Return the minimum and the maximum number of alerts that it waits for input."""
        minimum = maximum = 0
        for standstill in actual.standstills:
            if not standstill.first_run or standstill.status not in RESTING:
                continue
            if polls := self.polls_during(actual, standstill):
                first, last = self.polls[polls[0]], self.polls[polls[1]]
                minimum += last.began - first.ended >= WAITING_AFTER
                maximum += last.ended - first.began >= WAITING_AFTER
        return minimum, maximum

    def _judge_workspace(self) -> None:
        from importmonitor.models import Alert

        rows = Alert.objects.filter(workspace=self.poller.name, channel=ALL, operation=None)
        alerts = Counter(rows.values_list("event", flat=True))
        name = self.poller.name
        least, most = self._expected_outages(paused=True), self._expected_outages(paused=False)
        self.faults[UNFOUNDED] += [f"{name} {event}" for event in (alerts - most).elements()]
        self.faults[MISSED_ALERTS] += [f"{name} {event}" for event in (least - alerts).elements()]

    def _expected_outages(self, *, paused: bool) -> Counter[str]:
        """Return the expected alerts about outages.

        A long pause in polling is neither good nor bad time, unless it is usual: `paused` is
        whether all are such pauses, or none.
        """
        expected: Counter[str] = Counter()
        since: datetime | None = None
        is_reported = False
        last = self.polls[0].ended
        for poll in self.polls:
            pause, last = poll.ended - last, poll.ended
            if poll.good:
                expected[Event.RECOVERED] += is_reported
                since, is_reported = None, False
                continue
            if paused and pause > 2 * UNREACHABLE_AFTER and not is_reported:
                since = None
            since = since or poll.ended
            if not is_reported and poll.ended - since >= UNREACHABLE_AFTER:
                is_reported = True
                expected[Event.UNREACHABLE] += 1
        return expected


_END_EVENTS = (Event.FINISHED, Event.FAILED, Event.INTERRUPTED)


def _is_reopening(row: "StatusTransition") -> bool:
    return row.from_status in FINISHED and row.to_status not in FINISHED


def _event(outcome: str) -> Event:
    return {"failed": Event.FAILED, "interrupted": Event.INTERRUPTED}.get(outcome, Event.FINISHED)


def _outcomes_by_counters(actual: Import, entry: LogEntry) -> set[str]:
    """Return how an import is done by its counters."""
    count = entry.count
    error = count.get("error") or 0
    done = "done_with_errors" if error else "done"
    total = count.get("total")
    if actual.is_pending or not isinstance(total, int):
        return {done}
    counted = count.get("completed", 0) + error
    short = {"incomplete", "done_with_errors"} if error else {"incomplete"}
    if counted < total:
        return short
    users = count.get("users", 0) if actual.kind.counts_users_twice else 0
    if counted >= total + users or counted == total:
        is_twice = actual.era.has_contacts and users and counted == total
        return {done, *short} if is_twice else {done}
    # One in which users were counted twice and records are missing looks the same as another.
    return {done, *short}
