"""The history as a file: CSV for spreadsheets, JSON for programs. Pure functions, no queries.

Both hold what the REST face tells of an operation, under the same names, less `sync` (which tells
of the workspace) and the payload. Neither ever holds more than one row.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from importmonitor.models import ImportOperation
from importmonitor.rocketchat.operation import COUNTS

_COUNTERS = "counters"
#: The keys of an operation in JSON, in this order.
KEYS = (
    "id",
    "workspace",
    "remote_id",
    "type",
    "importer_key",
    "status",
    "state",
    "valid",
    "outcome",
    "stalled",
    "remote_user_id",
    "file",
    "file_name",
    "content_type",
    _COUNTERS,
    "percent",
    "rate",
    "seconds_left",
    "duration_seconds",
    "remote_started_at",
    "remote_updated_at",
    "started_at",
    "first_seen_at",
    "last_seen_at",
    "last_progress_at",
    "stalled_since",
    "waiting_since",
    "finished_at",
    "modified_at",
    "unreadable",
    "note",
)
#: The columns of CSV: the same, with a column for each counter.
COLUMNS = tuple(column for key in KEYS for column in (COUNTS if key == _COUNTERS else (key,)))

# A spreadsheet takes a cell for a formula that begins with one of these, full-width forms
# included: https://owasp.org/www-community/attacks/CSV_Injection and, with NUL, ASVS 5.0 1.2.10.
_FORMULA = "=+\\-@＝＋－＠"
# What a cell must not begin with either: a program that drops it finds what stands behind.
_DROPPED = "\t\r\n\0"
# Where a spreadsheet may begin a cell in the middle of a text. Excel takes a semicolon for the
# separator wherever the comma is the decimal one, quoted or not; LibreOffice takes tabs as well.
_SEPARATORS = f";{_DROPPED}"
# What can stand before a formula and not be seen or be taken away: quotes, blanks, control
# characters and those of no width.
_UNSEEN = "\"'\x01-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f"
_UNSEEN += "\u205f-\u206f\u3000\ufeff"
_CELL_TO_BE = re.compile(
    rf"\A(?=[{_UNSEEN}]*+[{_FORMULA}{_DROPPED}])|(?<=[{_SEPARATORS}])(?=[{_UNSEEN}]*+[{_FORMULA}])"
)


def formula_safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, or for a cell and a formula.

    An apostrophe comes before what would be one, as OWASP advises, and everything else stays.
    """
    return _CELL_TO_BE.sub("'", text)


def record(operation: ImportOperation, now: datetime) -> dict[str, Any]:
    """Return what is told of an operation at a time, by KEYS, in values that JSON has."""
    outcome = operation.present_outcome
    left = operation.time_left(now)
    ours = {
        "outcome": outcome.value if outcome else None,
        "stalled": operation.is_stalled,
        "file_name": operation.file_name,
        _COUNTERS: operation.counters,
        "percent": operation.percent,
        "seconds_left": None if left is None else round(left.total_seconds()),
        "duration_seconds": round(operation.duration(now).total_seconds()),
    }
    return {key: ours[key] if key in ours else _in_utc(getattr(operation, key)) for key in KEYS}


def _in_utc(value: Any) -> Any:
    """Write a time in ISO 8601; return anything else as it is."""
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Line:
    """A file that gives back what is written to it: of a `csv.writer`, one line."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[ImportOperation], now: datetime) -> Iterator[str]:
    """Return the lines of a CSV file (RFC 4180), its header first.

    It begins with a byte order mark: Excel takes a file without one for its own old code page.
    All text is in quotes, so that line breaks and separators in it stay text; numbers are not,
    so that they stay numbers. What is not known is an empty cell.

    If the rows break off with an error, one more line of a single cell says that they did, before
    the error is raised: a file that merely ended would look complete, and there are servers that
    end an answer that failed like one that did not (granian under WSGI).
    """
    broken_off = _("INCOMPLETE: an error broke this export off.")
    writer = csv.writer(_Line(), quoting=csv.QUOTE_NONNUMERIC)
    yield "\N{BYTE ORDER MARK}" + writer.writerow(COLUMNS)
    try:
        for row in rows:
            told = record(row, now)
            told |= told[_COUNTERS]
            yield writer.writerow([_cell(told[column]) for column in COLUMNS])
    except Exception:
        yield writer.writerow([broken_off])
        raise


def _cell(value: Any) -> str | int | float:
    """Return what stands for a value in CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return formula_safe(", ".join(value) if isinstance(value, list) else value)


def json_parts(rows: Iterable[ImportOperation], now: datetime) -> Iterator[str]:
    """Return the parts of a JSON array, each row's object on a line of its own.

    If the rows break off with an error, the array stays open: nothing reads it as complete.
    """
    before = "[\n"
    for row in rows:
        yield before + json.dumps(record(row, now), ensure_ascii=False, allow_nan=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
