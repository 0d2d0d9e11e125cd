"""Parses Rocket.Chat's document of an operation into fields that the database can store.

The remote side is not trusted: no JSON value raises anything but `BadAnswer`.
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

#: Rocket.Chat's own importers: `importerKey` and display name. Apps can add others.
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

#: The text fields of an Operation but for its id, and their keys in Rocket.Chat's document.
TEXT_KEYS = {
    "type": "type",
    "importer_key": "importerKey",
    "status": "status",
    "remote_user_id": "user",
    "file": "file",
    "content_type": "contentType",
}

_MAX_UNREADABLE = 50

# Within these a datetime can be converted to any time zone.
_MIN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TIME = datetime(9999, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class _Unreadable(Exception):
    """A value does not fit its field."""


@dataclass(frozen=True)
class Operation:
    """One import operation as a workspace returned it; every field fits its column.

    An absent or unreadable text is "", any other absent or unreadable value is None. `payload` is
    the document without `fileData` and without what a database cannot store; `unreadable` names
    the keys whose values are present but unreadable.
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

    @property
    def is_legacy(self) -> bool:
        """Whether Rocket.Chat up to 6.2 created it."""
        return is_legacy_time(self.payload.get("ts"))


def is_legacy_time(value: object) -> bool:
    """Return whether a document's `ts` was written by Rocket.Chat up to 6.2: as a number.

    The vendor's page shows the number in quotes.
    """
    return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())


def parse_operation(document: object) -> Operation:
    """Parse one operation from any decoded JSON value.

    Raises BadAnswer if it is not an object; an unreadable field is left empty and named in
    `unreadable`.
    """
    if not isinstance(document, dict):
        raise BadAnswer(f"an operation should be a JSON object, not {json_type(document)}")
    reader = _Reader(document)
    count = reader.read("count", _parse_object) or {}
    counts = _Reader(count, prefix="count.")
    numbers: dict[str, Any] = {
        f"count_{name}": counts.read(name, _parse_integer) for name in COUNTS
    }
    parsers = {"remote_user_id": _parse_identifier, "file": _parse_long_text}
    text: dict[str, Any] = {
        name: reader.read(key, parsers.get(name, _parse_text)) or ""
        for name, key in TEXT_KEYS.items()
    }
    remote_id = reader.read("_id", _parse_identifier)
    valid = reader.read("valid", _parse_boolean)
    started = reader.read("ts", _parse_time)
    updated = reader.read("_updatedAt", _parse_time)
    payload, left_out = to_storable_json(document)
    missing = [] if remote_id else ["_id"]
    # Unique, in order, and limited: a document can have any number of unreadable keys.
    unreadable = list(dict.fromkeys([*missing, *reader.unreadable, *counts.unreadable, *left_out]))
    return Operation(
        remote_id=remote_id or substitute_id(document),
        valid=valid,
        remote_started_at=started,
        remote_updated_at=updated,
        payload=payload,
        unreadable=unreadable[:_MAX_UNREADABLE],
        **text,
        **numbers,
    )


def json_type(value: object) -> str:
    """Return the name of a JSON value's type for an error message: "an array", "null" …"""
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
    """Reads keys of one object and collects the names of the unreadable ones."""

    def __init__(self, document: dict[str, Any], prefix: str = "") -> None:
        self.document = document
        self.prefix = prefix
        self.unreadable: list[str] = []

    def read(self, key: str, parse: Callable[[Any], T]) -> T | None:
        value = self.document.get(key)
        if value is None:
            return None
        try:
            return parse(value)
        except _Unreadable:
            self.unreadable.append(self.prefix + key)
            return None


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unreadable
    return safe_text(value, TEXT_LENGTH)


def _parse_long_text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unreadable
    return safe_text(value, FILE_LENGTH)


def _parse_identifier(value: object) -> str:
    # An identifier is never cut: two of them could become equal.
    if not isinstance(value, str) or not value.strip() or len(value) > ID_LENGTH:
        raise _Unreadable
    if value != safe_text(value.strip()):
        raise _Unreadable
    return value


def _parse_boolean(value: object) -> bool:
    # The vendor's page shows "true" in quotes.
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise _Unreadable
    return value


def _parse_integer(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -BIGINT <= value < BIGINT:
        raise _Unreadable
    return value


def _parse_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unreadable
    return value


def _parse_time(value: object) -> datetime:
    """Parse milliseconds since 1970 (<= 6.2; in quotes on the vendor's page) or ISO 8601."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"[0-9]{9,}", value):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            moment = moment.astimezone(UTC)
        else:
            moment = _MIN_TIME + timedelta(milliseconds=_parse_integer(value))
    except (ValueError, OverflowError):
        raise _Unreadable from None
    if not _MIN_TIME <= moment < _MAX_TIME:
        raise _Unreadable
    return moment


def substitute_id(document: dict[str, Any]) -> str:
    """Return an id for an operation without a usable `_id`, made of what does not change."""
    constant, _ = to_storable_json(
        {key: document.get(key) for key in ("_id", "ts", "importerKey", "user")}
    )
    return "unidentified-" + hashlib.sha256(json.dumps(constant).encode()).hexdigest()[:32]
