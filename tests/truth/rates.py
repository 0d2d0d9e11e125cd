"""How many messages a channel gets about each import, each outage and each open incident.

The most that the rules allow, by the simulator's log and not by the engine's code:

-   about an import, one that it started, one about the end of each run, and one more about a run
    that continues while it is invalid or hidden; one about each long wait for input, two about each
    long standstill; one that a run is unusual;
-   about an outage, one that the workspace is unreachable and one that it is reachable again, and
    none about one that is shorter than the threshold;
-   about an open incident, none after the first, or with reminders one in each full day.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from importmonitor.choices import Event
from tests.truth.conf import STALLED_AFTER, UNREACHABLE_AFTER, WAITING_AFTER
from tests.truth.evidence import RESTING, Evidence
from tests.truth.imports import Import
from tests.truth.observations import Observation

#: The JSON form of an alert.
Body = Mapping[str, Any]
#: By what messages are about: how many such subjects got how many messages.
Rates = dict[str, Counter[int]]

WELL = "import that ends well"
STALLED = "import that stalls"
WAITED = "import that waits for input"
OTHER = "import that ends otherwise"
PAST = "import of before the first poll"
OUTAGE = "outage"
SHORT_OUTAGE = "outage below the threshold"
REMINDED_DAY = "day of an open incident, with reminders"
#: All of them, in the order of the report.
SUBJECTS = (WELL, STALLED, WAITED, OTHER, PAST, OUTAGE, SHORT_OUTAGE, REMINDED_DAY)

DAY = timedelta(days=1)
_END = "end"
_EVENTS: Mapping[str, str] = {Event.FINISHED: _END, Event.FAILED: _END, Event.INTERRUPTED: _END}


def judge_messages(
    evidence: Evidence, messages: Sequence[Body], reminded: Sequence[Body]
) -> tuple[Rates, list[str]]:
    """Return the rates of a workspace, and the messages that no rule allows.

    `messages` are those of a channel without reminders; `reminded` those of one with a reminder
    each day.
    """
    rates: Rates = defaultdict(Counter)
    name = evidence.poller.name
    alerts, with_reminders = _alerts(messages, name), _alerts(reminded, name)
    faults = _judge_imports(evidence, alerts, rates)
    faults += _judge_outages(evidence, alerts, rates)
    faults += _judge_reminders(evidence, alerts, with_reminders, rates)
    return rates, [f"{name} {fault}" for fault in faults]


def _alerts(messages: Iterable[Body], workspace: str) -> list[Body]:
    """Return what messages say about a workspace: one can be about several imports.

    What is open in the workspaces that were simulated before has reminders too.
    """
    alerts = [alert for message in messages for alert in message.get("alerts", [message])]
    return [alert for alert in alerts if alert["workspace"] == workspace]


def _judge_imports(evidence: Evidence, alerts: Sequence[Body], rates: Rates) -> list[str]:
    events: dict[str, Counter[str]] = defaultdict(Counter)
    for alert in alerts:
        if alert["operation"] is not None:
            event: str = alert["event"]
            events[alert["operation"]["remote_id"]][_EVENTS.get(event, event)] += 1
    faults = []
    for actual in evidence.in_order:
        if actual.remote_id not in evidence.shown:
            continue
        sent, limits = events[actual.remote_id], _limits(actual, evidence)
        rates[_subject(actual, evidence, limits)][sent.total()] += 1
        excess = sent - limits
        if excess:
            faults.append(f"#{actual.number} {actual.remote_id} {dict(excess)} too many")
    return faults


def _limits(actual: Import, evidence: Evidence) -> Counter[str]:
    """Return the most messages about an import, by event."""
    end = evidence.polls[-1].ended
    limits: Counter[str] = Counter({_END: len(actual.runs), Event.UNUSUAL: len(actual.runs)})
    limits[Event.STARTED] = int(not evidence.is_past(actual))
    limits[_END] += sum(
        actual.runs_on and (run.invalid is not None or run.hidden is not None)
        for run in actual.runs
    )
    for standstill in actual.standstills:
        is_over = standstill.end < sys.maxsize
        lasted = (evidence.log[standstill.end].at if is_over else end) - standstill.since
        if standstill.status in RESTING:
            limits[Event.WAITING] += standstill.first_run and lasted >= WAITING_AFTER
        elif lasted >= STALLED_AFTER:
            limits.update((Event.STALLED, Event.RESUMED))
    return limits


def _subject(actual: Import, evidence: Evidence, limits: Counter[str]) -> str:
    if evidence.is_past(actual):
        return PAST
    if limits[Event.STALLED]:
        return STALLED
    if limits[Event.WAITING]:
        return WAITED
    is_well = limits[_END] == 1 and actual.runs[0].how == "done"
    return WELL if is_well else OTHER


def _judge_outages(evidence: Evidence, alerts: Sequence[Body], rates: Rates) -> list[str]:
    outages = _outages(evidence.polls)
    sent: list[Counter[str]] = [Counter() for _outage in outages]
    faults = []
    for alert in alerts:
        if alert["operation"] is not None:
            continue
        at = datetime.fromisoformat(alert["occurred_at"])
        before = [number for number, (first, _last) in enumerate(outages) if first <= at]
        if before:
            sent[before[-1]][alert["event"]] += 1
        else:
            faults.append(f"{alert['event']} before any outage")
    for (first, last), events in zip(outages, sent, strict=True):
        is_long = last - first >= UNREACHABLE_AFTER
        rates[OUTAGE if is_long else SHORT_OUTAGE][events.total()] += 1
        limit = int(is_long)
        excess = events - Counter({Event.UNREACHABLE: limit, Event.RECOVERED: limit})
        if excess:
            faults.append(f"outage of {first} to {last}: {dict(excess)} too many")
    return faults


def _outages(polls: Iterable[Observation]) -> list[tuple[datetime, datetime]]:
    """Return the times of the first and the last poll of each row of failed polls."""
    outages: list[tuple[datetime, datetime]] = []
    was_good = True
    for poll in polls:
        if not poll.good:
            first = poll.ended if was_good else outages.pop()[0]
            outages.append((first, poll.ended))
        was_good = poll.good
    return outages


def _judge_reminders(
    evidence: Evidence, alerts: Iterable[Body], reminded: Iterable[Body], rates: Rates
) -> list[str]:
    from importmonitor.models import Incident

    faults = [f"{alert['event']} repeated" for alert in alerts if _reminder(alert)]
    days: dict[int, Counter[int]] = defaultdict(Counter)
    incidents = Incident.objects.filter(workspace=evidence.poller.name).in_bulk()
    for alert in filter(_reminder, reminded):
        incident = incidents[alert["incident"]["id"]]
        assert incident.first_alert_at is not None
        open_for = datetime.fromisoformat(alert["occurred_at"]) - incident.first_alert_at
        days[incident.pk][open_for // DAY] += 1
    for incident in incidents.values():
        if incident.first_alert_at is None:
            continue
        until = incident.until or evidence.polls[-1].ended
        full_days = range(1, (until - incident.first_alert_at) // DAY + 1)
        rates[REMINDED_DAY].update(days[incident.pk][day] for day in full_days)
        excess = days[incident.pk] - Counter(full_days)
        if excess:
            faults.append(f"{incident.kind} since {incident.since}: reminded {dict(excess)}")
    return faults


def _reminder(alert: Body) -> int:
    """Return how often an alert was repeated before, 0 if it is the first."""
    incident = alert.get("incident") or {}
    reminder: int = incident.get("reminder", 0)
    return reminder
