"""The recordings of Rocket.Chat's own importers beside this file; README.md has their format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).parent

#: The statuses that are an end in Rocket.Chat's words.
ENDS = frozenset({"importer_done", "importer_import_failed", "importer_import_cancelled"})


@dataclass(frozen=True)
class Outcomes:
    """What an outcome may be at the end (None is "not over"), and what it must never be."""

    expected: frozenset[str | None]
    never: frozenset[str]

    @classmethod
    def parse(cls, label: Mapping[str, Any]) -> Self:
        return cls(frozenset(label["expected"]), frozenset(label["never"]))

    def __str__(self) -> str:
        expected = ", ".join(sorted(outcome or "not over" for outcome in self.expected))
        return f"{expected} (never {', '.join(sorted(self.never))})"

    def either(self, other: "Outcomes") -> "Outcomes":
        """Return what satisfies one of the two."""
        return Outcomes(self.expected | other.expected, self.never & other.never)


@dataclass(frozen=True)
class Label:
    """What the monitor should make of an operation."""

    rule: str
    outcomes: Outcomes
    unseen: Outcomes | None
    meanwhile: frozenset[str]
    stall: str
    endings: tuple[int, int]
    no_log: bool
    ended_at: datetime | None
    ended_from: datetime | None

    @classmethod
    def parse(cls, label: Mapping[str, Any]) -> Self:
        least, most = label["endings"]
        ended_at = _time(label["ended_at"])
        return cls(
            rule=label["rule"],
            outcomes=Outcomes.parse(label),
            unseen=Outcomes.parse(label["unseen"]) if "unseen" in label else None,
            meanwhile=frozenset(label.get("meanwhile", ())),
            stall=label["stall"],
            endings=(least, most),
            no_log=label.get("no_log", False),
            ended_at=ended_at,
            ended_from=_time(label.get("ended_from")) or ended_at,
        )


@dataclass(frozen=True)
class State:
    """The documents from a time on, the oldest first."""

    at: datetime
    note: str
    documents: tuple[dict[str, Any], ...]

    @cached_property
    def current(self) -> dict[str, Any] | None:
        """The operation with the greatest `ts`, which is what Rocket.Chat calls current."""
        return max(self.documents, key=lambda document: _started(document["ts"]), default=None)

    @cached_property
    def latest(self) -> list[dict[str, Any]]:
        """What `getLatestImportOperations` returns."""
        newest_first = self.documents[::-1]
        return sorted(newest_first, key=lambda doc: doc["_updatedAt"], reverse=True)[:20]

    def document(self, remote_id: str) -> dict[str, Any] | None:
        documents = (doc for doc in self.documents if doc["_id"] == remote_id)
        return next(documents, None)


@dataclass(frozen=True)
class Recording:
    """What one or more imports looked like from outside, and what they were."""

    id: str
    what: str
    labels: Mapping[str, Label]
    states: tuple[State, ...]

    def state(self, at: datetime) -> State | None:
        """Return the state at a time, None before the first."""
        return next((state for state in reversed(self.states) if state.at <= at), None)

    def history(self, remote_id: str, until: datetime) -> list[tuple[State, dict[str, Any]]]:
        """Return the states of an operation up to a time, with its documents."""
        states = ((state, state.document(remote_id)) for state in self.states if state.at <= until)
        return [(state, document) for state, document in states if document is not None]

    def has_ended(self, remote_id: str, at: datetime) -> bool:
        """Return whether Rocket.Chat had written an end status at a time."""
        return any(document["status"] in ENDS for _, document in self.history(remote_id, at))


def recording_ids() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load_recording(recording_id: str) -> Recording:
    data = json.loads((FOLDER / f"{recording_id}.json").read_text())
    return Recording(
        id=data["id"],
        what=data["what"],
        labels={key: Label.parse(label) for key, label in data["operations"].items()},
        states=tuple(
            State(datetime.fromisoformat(state["at"]), state.get("note", ""), tuple(state["docs"]))
            for state in data["states"]
        ),
    )


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _started(value: int | str) -> float:
    # Up to 6.2 an integer of milliseconds.
    if isinstance(value, int):
        return value / 1000
    return datetime.fromisoformat(value).timestamp()
