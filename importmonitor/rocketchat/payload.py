"""Converts remote text and JSON into what every database can store."""

import json
import math
import re
from typing import Any

TEXT_LENGTH = 255

_KNOWN = frozenset(
    {
        *("_id", "type", "importerKey", "ts", "status", "valid", "user", "_updatedAt", "count"),
        *("file", "contentType", "messagesstatus"),
    }
)

#: Never stored: the names and e-mail addresses of everyone who is imported.
PRIVATE_KEYS = frozenset({"fileData"})

# MariaDB's JSON_VALID, a constraint of every JSON column there, accepts at most 32 levels.
_MAX_DEPTH = 20
# A longer string is cut; a larger value, or one that makes the payload too large, is left out.
_MAX_STRING_LENGTH = 5_000
_MAX_VALUE_BYTES = 65_536
_MAX_PAYLOAD_BYTES = 1_048_576
_MAX_KEYS = 200

# The limit of a BigIntegerField, and of integers in every database's JSON.
BIGINT = 2**63

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"

# PostgreSQL rejects NUL in text, UTF-8 has no lone surrogates.
_UNSAFE = re.compile("[\x00\ud800-\udfff]")


def safe_text(value: str, length: int | None = None) -> str:
    """Return text that every database can store, cut to `length` characters."""
    # Almost all text is plain, which is found out faster without a regular expression.
    if not value.isascii() or "\0" in value:
        value = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", value)
    if length is not None and len(value) > length:
        return value[: length - 1] + "…"
    return value


def parse_user_name(user: dict[str, Any]) -> str:
    """Return the name of a user's document on one line, or the user name; "" if it has neither."""
    for key in ("name", "username"):
        value = user.get(key)
        if isinstance(value, str):
            # Joiners are part of words in Persian and in Indian scripts.
            chars = (char if char.isprintable() or char in _JOINERS else " " for char in value)
            if name := " ".join("".join(chars).split()).strip(_JOINERS):
                return safe_text(name, TEXT_LENGTH)
    return ""


def to_storable_json(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a document that every database can store, and the keys that had to be changed."""
    kept: dict[str, Any] = {}
    changed: list[str] = []
    room = _MAX_PAYLOAD_BYTES
    # Known keys first: they are the ones to keep of a document that is too large.
    for key in sorted(document, key=lambda key: key not in _KNOWN):
        if key in PRIVATE_KEYS:
            continue
        cleaner = _Cleaner()
        clean = cleaner.clean(document[key], _MAX_DEPTH) if len(kept) < _MAX_KEYS else None
        size = len(json.dumps(clean))
        fits = size <= min(_MAX_VALUE_BYTES, room) and len(kept) < _MAX_KEYS
        if cleaner.changed or not fits:
            changed.append(safe_text(key, TEXT_LENGTH))
        if fits:
            room -= size
            kept[key] = clean
    return {safe_text(key, TEXT_LENGTH): kept[key] for key in document if key in kept}, changed


class _Cleaner:
    """Changes a JSON value so that it survives a round trip through every database unchanged.

    Values that cannot (too deep, not finite, an integer too large) become null, very long strings
    are cut, and `changed` becomes true.
    """

    def __init__(self) -> None:
        self.changed = False

    def clean(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            self.changed |= len(value) > _MAX_STRING_LENGTH
            return safe_text(value, _MAX_STRING_LENGTH)
        if isinstance(value, list | dict) and depth == 0:
            return self._reject()
        if isinstance(value, list):
            return [self.clean(item, depth - 1) for item in value]
        if isinstance(value, dict):
            return {
                safe_text(key, TEXT_LENGTH): self.clean(item, depth - 1)
                for key, item in value.items()
            }
        if isinstance(value, float):
            if not math.isfinite(value):
                return self._reject()
            # PostgreSQL's jsonb returns 1.0 and 1e308 as integers; so does JavaScript, in which
            # Rocket.Chat is written.
            value = int(value) if value.is_integer() else value
        if isinstance(value, int) and not -BIGINT <= value < BIGINT:
            return self._reject()
        return value

    def _reject(self) -> None:
        self.changed = True
