"""A document of Rocket.Chat's, read field by field into what the store can hold.

This is the one place where remote text and numbers are made safe for every database. Nothing in
here trusts the remote side: no JSON value makes it raise anything but `BadAnswer`.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from importmonitor.rocketchat.errors import BadAnswer
from importmonitor.rocketchat.states import ImportState, state_of

ID_LENGTH = 64
TEXT_LENGTH = 255
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

_KNOWN = frozenset(
    {
        *("_id", "type", "importerKey", "ts", "status", "valid", "user", "_updatedAt", "count"),
        *("file", "contentType", "messagesstatus"),
    }
)

#: Holds names and e-mail addresses of everyone who is being imported; never stored.
PRIVATE = frozenset({"fileData"})

# MariaDB's JSON_VALID gives up at 32 levels, and every JSON column there has it as a constraint.
_DEPTH = 20
# What is longer is cut in the stored payload, or a key that needs more left out of it, and so is
# what would make the whole larger than a row should be.
_STRING_LENGTH = 5_000
_VALUE_BYTES = 65_536
_PAYLOAD_BYTES = 1_048_576
_KEYS = 200
_NAMES = 50

# What a BigIntegerField holds, and every database's JSON.
_BIGINT = 2**63

# Years that a datetime still holds once a time zone has been applied to it.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)

# Characters that PostgreSQL refuses in text (NUL) and that UTF-8 does (lone surrogates).
_UNSAFE = re.compile("[\x00\ud800-\udfff]")


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
    payload, left_out = _payload(document)
    unreadable = [*reader.unreadable, *counts.unreadable]
    if remote_id is None and "_id" not in unreadable:
        unreadable.insert(0, "_id")
    unreadable.extend(name for name in left_out if name not in unreadable)
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


def safe_text(value: str, length: int | None = None) -> str:
    """Return text that every database stores, at most `length` characters of it."""
    value = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", value)
    if length is not None and len(value) > length:
        return value[: length - 1] + "…"
    return value


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
    if _UNSAFE.search(value) or value != value.strip():
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
    if not isinstance(value, int) or isinstance(value, bool) or not -_BIGINT <= value < _BIGINT:
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
    lasting, _ = _payload({key: document.get(key) for key in ("_id", "ts", "importerKey", "user")})
    return "unidentified-" + hashlib.sha256(json.dumps(lasting).encode()).hexdigest()[:32]


def _payload(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the document as every database can hold it, and the keys that had to be changed."""
    kept: dict[str, Any] = {}
    changed: list[str] = []
    room = _PAYLOAD_BYTES
    # What people know first: of a document with too much in it, that is what should be left.
    for key in sorted(document, key=lambda key: key not in _KNOWN):
        if key in PRIVATE:
            continue
        cleaner = _Cleaner()
        clean = cleaner.clean(document[key], _DEPTH)
        size = len(json.dumps(clean))
        fits = size <= min(_VALUE_BYTES, room) and len(kept) < _KEYS
        if cleaner.changed or not fits:
            changed.append(safe_text(key, TEXT_LENGTH))
        if fits:
            room -= size
            kept[key] = clean
    return {safe_text(key, TEXT_LENGTH): kept[key] for key in document if key in kept}, changed


class _Cleaner:
    """Makes a JSON value one that survives a round trip through every database unchanged.

    What cannot (too deep, not finite, an integer too large) becomes null, a very long string is
    cut, and `changed` becomes true.
    """

    def __init__(self) -> None:
        self.changed = False

    def clean(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            self.changed |= len(value) > _STRING_LENGTH
            return safe_text(value, _STRING_LENGTH)
        if isinstance(value, list | dict) and depth == 0:
            return self._give_up()
        if isinstance(value, list):
            return [self.clean(item, depth - 1) for item in value]
        if isinstance(value, dict):
            return {
                safe_text(key, TEXT_LENGTH): self.clean(item, depth - 1)
                for key, item in value.items()
            }
        if isinstance(value, float):
            if not math.isfinite(value):
                return self._give_up()
            # PostgreSQL's jsonb gives 1.0 and 1e308 back as integers; so does JavaScript, and a
            # workspace is written in it.
            value = int(value) if value.is_integer() else value
        if isinstance(value, int) and not -_BIGINT <= value < _BIGINT:
            return self._give_up()
        return value

    def _give_up(self) -> None:
        self.changed = True
