"""An operation of a simulated workspace: its document, and what is still to come."""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from simulator import kinds
from simulator.clock import to_iso, to_milliseconds
from simulator.imports import Choice, Event

# Meteor's Random.id() leaves out letters and digits that are easily confused.
_ID_CHARACTERS = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz"
#: The people who start imports: their user names and names by their ids.
PEOPLE = {
    "d26x6zSkaPSe5gCyy": ("ada", "Ada Lovelace"),
    "Hb7kQm3ZtYwN9xRfs": ("jose", "José Álvarez"),
    "qW4eRt8yKpLs2dFgh": ("mei", "Mei Lin"),
}


@dataclass(eq=False, slots=True)
class Operation:
    """One operation: its document, and its future events.

    Attributes:
        document: what Rocket.Chat stores of it.
        created_at: the key of the current operation, which has the greatest.
        updated_at: the sort key of the latest operations.
        upload: the fields that the upload adds to the document.
        pending: its scheduled events, with their times.
        rest: the events after a selection.
        number: the number of imports started before it; None if it was put in as it is.
        kind: its importer; None if it was put in as it is.
        replan: returns the events after a selection of fewer records.
        imported: the records really imported, by type.
        moved_at: the time of its last write.
        is_added: whether Rocket.Chat has stored it.
        is_abandoned: whether it is invalid, or hidden up to 6.2, so that it gets no more input.
        is_killed: whether its process has died.
    """

    document: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    upload: Mapping[str, str] = field(default_factory=dict)
    pending: deque[tuple[datetime, Event]] = field(default_factory=deque)
    rest: tuple[Event, ...] = ()
    number: int | None = None
    kind: kinds.Kind | None = None
    replan: Callable[[Choice], tuple[Event, ...]] | None = None
    imported: Mapping[str, int] = field(default_factory=dict)
    moved_at: datetime | None = None
    is_added: bool = False
    is_abandoned: bool = False
    is_killed: bool = False

    @property
    def status(self) -> object:
        """The document's raw step; None if it has none."""
        return self.document.get("status")

    @property
    def count(self) -> dict[str, Any]:
        """The document's counters; empty if it has none."""
        count = self.document.get("count")
        return count if isinstance(count, dict) else {}

    def events_after_selection(self, chosen: Choice | None = None) -> list[Event]:
        """Return the events that a selection now causes.

        Rocket.Chat adds to the counters of the record, also when it imports for a second time.
        """
        rest = self.rest if chosen is None or self.replan is None else self.replan(chosen)
        counted = {key: self.count.get(key, 0) for key in ("completed", "error")}
        return [
            replace(event, count={key: n + counted.get(key, 0) for key, n in event.count.items()})
            for event in rest
        ]

    def imported_at(self, now: datetime) -> Mapping[str, int]:
        """Return the records really imported by a time between the last write and the next."""
        if not self.pending or self.moved_at is None or (self.kind and self.kind.key == "api"):
            return self.imported  # the API's importer inserts in batches, of which it writes all
        at, event = self.pending[0]
        fraction = (now - self.moved_at) / max(at - self.moved_at, timedelta(milliseconds=1))
        return {
            part: self.imported.get(part, 0)
            + int((number - self.imported.get(part, 0)) * min(fraction, 1))
            for part, number in event.imported.items()
        }

    def write(self, at: datetime, fields: Mapping[str, Any]) -> None:
        """Set fields of the document, and its `_updatedAt` as every write does.

        Args:
            at: the time on Rocket.Chat's clock.
            fields: the fields.
        """
        self.document.update(fields)
        self.document["_updatedAt"] = to_iso(at)
        self.updated_at = at


def new_operation(
    kind: kinds.Kind,
    at: datetime,
    rng: random.Random,
    *,
    user: str | None,
    file_name: str | None,
    hex_id: bool,
    iso_ts: bool,
) -> Operation:
    """Return an operation that has just been started; see `Workspace`."""
    # Always drawn, so that the numbers that follow do not depend on `user`.
    random_user = rng.choice(tuple(PEOPLE))
    user = user or random_user
    document = {
        "_id": f"{rng.getrandbits(96):024x}"
        if hex_id
        else "".join(rng.choices(_ID_CHARACTERS, k=17)),
        "type": kind.label,
        "importerKey": kind.key,
        "ts": to_iso(at) if iso_ts else to_milliseconds(at),
        "status": kinds.NEW,
        "valid": True,
        "user": user,
        "_updatedAt": to_iso(at),
    }
    if kind.file is None:
        return Operation(document, at, at, kind=kind)
    name, content_type = kind.file
    # Rocket.Chat pads nothing in this date and time, and counts months from 0.
    parts = (at.year, at.month - 1, at.day, at.hour, at.minute, at.second)
    file = f"{''.join(map(str, parts))}_{user}_{file_name or name}"
    upload = {"file": file, "contentType": content_type}
    return Operation(document, at, at, upload, kind=kind)
