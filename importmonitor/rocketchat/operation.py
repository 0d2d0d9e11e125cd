"""A document of Rocket.Chat's, read field by field into what the store can hold.

Nothing in here trusts the remote side: no JSON value makes it raise anything but `BadAnswer`.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from importmonitor.rocketchat.exceptions import BadAnswer
from importmonitor.rocketchat.payload import BIGINT, TEXT_LENGTH, safe_text, to_storable_json
from importmonitor.rocketchat.states import ImportState, state_of

ID_LENGTH = 64
FILE_LENGTH = 512

COUNTS = ("total", "completed", "error", "users", "channels", "messages", "contacts")

#: Rocket.Chat's own importers: `importerKey` and the name that people know. Apps bring others.
IMPORTERS = {
    "csv": "CSV",
    "slack": "Slack",
    "slack-users": "Slack users",
    "pending-files": "Pending files",
    "pending-avatars": "Pending avatars",
    "hipchat-enterprise": "HipChat Enterprise",
    "omnichannel_contact": "Omnichannel contacts",
    "api": "API",
}

# A document can hold any number of keys that cannot be read; this many are worth naming.
_NAMES = 50

# Years that a datetime still holds once a time zone has been applied to it.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class _Unreadable(Exception):
    """A field's value is not what the field can hold."""


@dataclass(frozen=True)
class Operation:
    """One import operation as a workspace told it; every field as wide as its column.

    Text that was not sent is "", everything else that was not sent or could not be read is None.
    `payload` is the document with nothing left out but `fileData` and what no database can hold;
    `unreadable` names the keys whose values were neither absent nor readable.
    """

    remote_id: str
    type: str = ""
    importer_key: str = ""
    status: str = ""
    valid: bool | None = None
    remote_user_id: str = ""
    file: str = ""
    content_type: str = ""
    remote_started_at: datetime | None = None
    remote_updated_at: datetime | None = None
    count_total: int | None = None
    count_completed: int | None = None
    count_error: int | None = None
    count_users: int | None = None
    count_channels: int | None = None
    count_messages: int | None = None
    count_contacts: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def state(self) -> ImportState:
        """Rocket.Chat's coarse word for `status` and `valid`."""
        return state_of(self.status, self.valid)


def parse_operation(document: object) -> Operation:
    """Read one operation from decoded JSON.

    `document` is any JSON value. Raises BadAnswer if it is not an object; a field that is not
    what it should be is left empty and named in `unreadable`.
    """
    if not isinstance(document, dict):
        raise BadAnswer(f"An operation should be a JSON object, not {json_type(document)}.")
    reader = _Reader(document)
    count = reader.read("count", _object) or {}
    counts = _Reader(count, prefix="count.")
    numbers: dict[str, Any] = {f"count_{name}": counts.read(name, _integer) for name in COUNTS}
    text: dict[str, Any] = {
        name: reader.read(key, reading) or ""
        for name, key, reading in (
            ("type", "type", _text),
            ("importer_key", "importerKey", _text),
            ("status", "status", _text),
            ("remote_user_id", "user", _identifier),
            ("file", "file", _long_text),
            ("content_type", "contentType", _text),
        )
    }
    remote_id = reader.read("_id", _identifier)
    valid = reader.read("valid", _boolean)
    started = reader.read("ts", _time)
    updated = reader.read("_updatedAt", _time)
    payload, left_out = to_storable_json(document)
    missing = [] if remote_id else ["_id"]
    # Once each, in order; a document can hold any number of keys that are not readable.
    unreadable = list(dict.fromkeys([*missing, *reader.unreadable, *counts.unreadable, *left_out]))
    return Operation(
        remote_id=remote_id or _substitute_id(document),
        valid=valid,
        remote_started_at=started,
        remote_updated_at=updated,
        payload=payload,
        unreadable=unreadable[:_NAMES],
        **text,
        **numbers,
    )


def json_type(value: object) -> str:
    """Name a decoded JSON value's type for an error message: "an array", "null" …"""
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


class _Reader:
    """Reads keys of one object, and remembers the names of those that it could not."""

    def __init__(self, document: dict[str, Any], prefix: str = "") -> None:
        self.document = document
        self.prefix = prefix
        self.unreadable: list[str] = []

    def read(self, key: str, reading: Callable[[Any], T]) -> T | None:
        value = self.document.get(key)
        if value is None:
            return None
        try:
            return reading(value)
        except _Unreadable:
            self.unreadable.append(self.prefix + key)
            return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unreadable
    return safe_text(value, TEXT_LENGTH)


def _long_text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unreadable
    return safe_text(value, FILE_LENGTH)


def _identifier(value: object) -> str:
    # An identifier is kept whole or not at all: two that were cut could become one.
    if not isinstance(value, str) or not value.strip() or len(value) > ID_LENGTH:
        raise _Unreadable
    if value != safe_text(value.strip()):
        raise _Unreadable
    return value


def _boolean(value: object) -> bool:
    # The vendor's own page shows "true" in quotes.
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise _Unreadable
    return value


def _integer(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -BIGINT <= value < BIGINT:
        raise _Unreadable
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unreadable
    return value


def _time(value: object) -> datetime:
    """Read milliseconds since 1970 (<= 6.2; the vendor's page has them in quotes) or ISO 8601."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"[0-9]{9,}", value):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            moment = moment.astimezone(UTC)
        else:
            moment = _EARLIEST + timedelta(milliseconds=_integer(value))
    except (ValueError, OverflowError):
        raise _Unreadable from None
    if not _EARLIEST <= moment < _LATEST:
        raise _Unreadable
    return moment


def _substitute_id(document: dict[str, Any]) -> str:
    """Name an operation that has no usable `_id` by what does not change while it runs."""
    lasting, _ = to_storable_json(
        {key: document.get(key) for key in ("_id", "ts", "importerKey", "user")}
    )
    return "unidentified-" + hashlib.sha256(json.dumps(lasting).encode()).hexdigest()[:32]
