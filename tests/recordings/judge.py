"""Compares what a replay left behind with the labels of its recording, by README.md's rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.recordings import ENDS, Label, Outcomes, Recording, State
from tests.recordings.replay import Observation
from tests.recordings.schedules import MINUTE, SETTLED_AFTER

if TYPE_CHECKING:
    from importmonitor.alerts.messages import Message

STALLED = "import.stalled"
#: The events of an end, and the outcomes that two of them say in so many words.
ENDINGS: Mapping[str, str | None] = {
    "import.finished": None,
    "import.failed": "failed",
    "import.interrupted": "interrupted",
}
#: How long after its end an operation behind a newer one may keep an outcome of `meanwhile`.
_FOLLOWED_WITHIN = 15 * MINUTE
#: How far `finished_at` may lie before and after the end.
_EARLIEST, _LATEST = MINUTE, 2 * MINUTE
_LOG = re.compile(r"\blogs?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Violation:
    """A difference between a label and what was stored or sent, by the kind of check."""

    remote_id: str
    rule: str
    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.remote_id[:8]}… rule {self.rule}, {self.check}: {self.text}"


def judge(
    recording: Recording, observations: Sequence[Observation], *, is_list_refused: bool = False
) -> list[Violation]:
    """Return what violates the labels; where the list is refused, of what does not depend on it."""
    violations: list[Violation] = []
    for remote_id in recording.labels:
        judgement = _Judgement(recording, remote_id, observations, is_list_refused)
        violations += judgement.violations()
    return violations


@dataclass(frozen=True)
class _Judgement:
    recording: Recording
    remote_id: str
    observations: Sequence[Observation]
    is_list_refused: bool

    @property
    def label(self) -> Label:
        return self.recording.labels[self.remote_id]

    def violations(self) -> list[Violation]:
        """Return the violations of one operation, each of them once."""
        checks = [self._never(), self._percentages()]
        if not self.is_list_refused:
            checks += [self._end(), self._finished_at(), self._endings(), self._stalls()]
            checks += [self._log()]
        texts: dict[tuple[str, str], str] = {}
        for check in checks:
            for name, text, at in check:
                # The first time is enough.
                texts.setdefault((name, text), self._since_start(at))
        return [
            Violation(self.remote_id, self.label.rule, name, f"{text} ({time})")
            for (name, text), time in texts.items()
        ]

    def _never(self) -> Iterator[tuple[str, str, datetime]]:
        for observation in self.observations:
            allowed = self._meanwhile(observation.at)
            never = self._outcomes().never - allowed
            if row := observation.rows.get(self.remote_id):
                for outcome in {row.outcome, row.present_outcome or ""} & never:
                    yield "never", f"stored as {outcome}", observation.at
            for body in self._bodies(observation):
                for outcome in _reported(body) & never:
                    yield "never", f"reported as {outcome}", observation.at

    def _percentages(self) -> Iterator[tuple[str, str, datetime]]:
        for observation in self.observations:
            row = observation.rows.get(self.remote_id)
            percentages = [row.percent if row else None]
            percentages += [body["operation"]["percent"] for body in self._bodies(observation)]
            for percent in percentages:
                if percent is None or percent < 100:
                    continue
                if percent > 100:
                    yield "percent", f"{percent} %", observation.at
                elif not self.recording.has_ended(self.remote_id, observation.at):
                    yield "percent", "100 % before an end", observation.at

    def _end(self) -> Iterator[tuple[str, str, datetime]]:
        expected = self._outcomes().expected
        for observation in self._settled():
            row = observation.rows.get(self.remote_id)
            if row is None:
                yield "outcome", "not stored", observation.at
            elif (row.outcome or None) not in expected and not (
                None in expected and row.present_outcome is None
            ):
                text = f"{row.outcome or None}, not {_words(expected)}, at the end"
                yield "outcome", text, observation.at

    def _finished_at(self) -> Iterator[tuple[str, str, datetime]]:
        label = self.label
        if label.ended_at is None or label.ended_from is None or self._is_trace_lost():
            return
        earliest, latest = label.ended_from - _EARLIEST, label.ended_at + _LATEST
        for observation in self._settled():
            row = observation.rows.get(self.remote_id)
            if row is None or not row.outcome:
                continue
            if row.finished_at is None:
                yield "finished_at", "empty", observation.at
            elif row.finished_at < earliest:
                early = _duration(label.ended_from - row.finished_at)
                yield "finished_at", f"{early} early", observation.at
            elif row.finished_at > latest:
                late = _duration(row.finished_at - label.ended_at)
                yield "finished_at", f"{late} late", observation.at

    def _endings(self) -> Iterator[tuple[str, str, datetime]]:
        endings = [
            (message.body, at) for message, at in self._messages() if _event(message) in ENDINGS
        ]
        least, most = self.label.endings
        if self._is_end_missed():
            least = 0
        if not least <= len(endings) <= most:
            texts = [
                f"{body['event']} {body['operation']['outcome']} {self._since_start(at)}"
                for body, at in endings
            ]
            text = f"{len(endings)} messages of an end, not {least} to {most}: {_words(texts)}"
            yield "endings", text, self.observations[-1].at
        if endings:
            body, at = endings[-1]
            expected = self._outcomes().expected
            for outcome in sorted(_reported(body) - expected) or (
                [] if _reported(body) else ["nothing"]
            ):
                text = f"the last message says {outcome}, not {_words(expected)}"
                yield "last message", text, at

    def _stalls(self) -> Iterator[tuple[str, str, datetime]]:
        stalls = [at for message, at in self._messages() if _event(message) == STALLED]
        if self.label.stall == "never":
            for at in stalls:
                yield "stall", "reported as stalled", at
        # Within 20 minutes at rest: such is the time in which it is polled after the last state.
        limit = self.recording.states[-1].at + 20 * MINUTE
        if self.label.stall == "must" and not any(at <= limit for at in stalls):
            yield "stall", "not reported as stalled", limit

    def _log(self) -> Iterator[tuple[str, str, datetime]]:
        for message, at in self._messages():
            if self.label.no_log and _LOG.search(f"{message.title}\n{message.text}"):
                yield "log", f"{_event(message)} refers to the server log", at

    def _outcomes(self) -> Outcomes:
        """Return the label's outcomes as far as they could be known by these polls."""
        label, outcomes = self.label, self.label.outcomes
        if label.unseen and not self._is_seen_invalid(is_current=True):
            behind = self._is_seen_invalid(is_current=False) and not self.is_list_refused
            outcomes = outcomes.either(label.unseen) if behind else label.unseen
        if self._is_end_missed():
            outcomes = Outcomes(outcomes.expected | {None}, outcomes.never)
        if self.is_list_refused and self._is_hidden():
            # What became of it, only the list says.
            outcomes = Outcomes(outcomes.expected, outcomes.never - {"superseded"})
        return outcomes

    def _is_seen_invalid(self, *, is_current: bool) -> bool:
        """Return whether a poll saw it invalid before its end, as the current one or behind it."""
        return any(
            document["valid"] is False
            and not self.recording.has_ended(self.remote_id, state.at)
            and (state.current is document) == is_current
            for state, document in self._polled()
        )

    def _is_end_missed(self) -> bool:
        """Return whether it was opened again, and polled only before its end and since (rule 14).

        Then its end cannot be known.
        """
        return self.label.rule == "14" and not any(
            document["status"] in ENDS for _, document in self._polled()
        )

    def _is_hidden(self) -> bool:
        current = self.recording.states[-1].current
        return current is None or current["_id"] != self.remote_id

    def _meanwhile(self, at: datetime) -> frozenset[str]:
        """Return the outcomes that may stand at a time because the end cannot be known then."""
        ended_at = self.label.ended_at
        if ended_at is None:
            return self.label.meanwhile
        state = self.recording.state(ended_at)
        if state and state.current and state.current["_id"] == self.remote_id:
            is_unknown = at < ended_at
        else:
            is_unknown = self.is_list_refused or at <= ended_at + _FOLLOWED_WITHIN
        return self.label.meanwhile if is_unknown else frozenset()

    def _is_trace_lost(self) -> bool:
        """Return whether a later start of a server overwrote the end's time before a poll saw it.

        The time is `_updatedAt`; if that start came soon after the end, it is as good.
        """
        label = self.label
        assert label.ended_at is not None
        for state in self.recording.states:
            if state.note == "server start" and state.at > label.ended_at + _LATEST:
                polls = [observation.at for observation in self.observations]
                return not any(label.ended_at <= at < state.at for at in polls)
        return False

    def _polled(self) -> Iterator[tuple[State, dict[str, Any]]]:
        for observation in self.observations:
            document = observation.state and observation.state.document(self.remote_id)
            if observation.state and document:
                yield observation.state, document

    def _settled(self) -> Iterator[Observation]:
        settled = self.recording.states[-1].at + SETTLED_AFTER
        return (observation for observation in self.observations if observation.at >= settled)

    def _bodies(self, observation: Observation) -> Iterator[Mapping[str, Any]]:
        """Yield the bodies of this operation's alerts, of those written and of those sent."""
        for body in (*observation.bodies, *(message.body for message in observation.messages)):
            if (body["operation"] or {}).get("remote_id") == self.remote_id:
                yield body

    def _messages(self) -> Iterator[tuple["Message", datetime]]:
        for observation in self.observations:
            for message in observation.messages:
                if (message.body["operation"] or {}).get("remote_id") == self.remote_id:
                    yield message, observation.at

    def _since_start(self, at: datetime) -> str:
        return f"+{_duration(at - self.recording.states[0].at)}"


def _event(message: "Message") -> str:
    return str(message.body["event"])


def _reported(body: Mapping[str, Any]) -> set[str]:
    """Return the outcomes that a message tells, by its event and by its operation."""
    outcomes = {ENDINGS.get(body["event"]), body["operation"]["outcome"]}
    return {outcome for outcome in outcomes if outcome}


def _words(values: Sequence[object] | frozenset[str | None]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"


def _duration(duration: timedelta) -> str:
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    return f"{minutes}:{seconds:02}"
