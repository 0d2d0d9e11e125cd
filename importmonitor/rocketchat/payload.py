"""Remote text and JSON, made into what every database can hold: here, and nowhere else."""

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

# What a BigIntegerField holds, and every database's JSON.
BIGINT = 2**63

# Characters that PostgreSQL refuses in text (NUL) and that UTF-8 does (lone surrogates).
_UNSAFE = re.compile("[\x00\ud800-\udfff]")


def safe_text(value: str, length: int | None = None) -> str:
    """Return text that every database stores, at most `length` characters of it."""
    value = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", value)
    if length is not None and len(value) > length:
        return value[: length - 1] + "…"
    return value


def to_storable_json(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a document as every database can hold it, and the keys that had to be changed."""
    kept: dict[str, Any] = {}
    changed: list[str] = []
    room = _PAYLOAD_BYTES
    # What people know first: of a document with too much in it, that is what should be left.
    for key in sorted(document, key=lambda key: key not in _KNOWN):
        if key in PRIVATE:
            continue
        cleaner = _Cleaner()
        clean = cleaner.clean(document[key], _DEPTH) if len(kept) < _KEYS else None
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
        if isinstance(value, int) and not -BIGINT <= value < BIGINT:
            return self._give_up()
        return value

    def _give_up(self) -> None:
        self.changed = True
