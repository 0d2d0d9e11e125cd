"""Operations as CSV for spreadsheets and as JSON for programs. Pure functions, no queries.

Both have the fields of an operation in the REST API under the same names, without `sync` (which
describes the workspace) and the payload. Both are generated row by row.
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
    "started_by_name",
    "file",
    "file_name",
    "content_type",
    _COUNTERS,
    "percent",
    "rate",
    "seconds_left",
    "seconds_left_low",
    "seconds_left_high",
    "duration_seconds",
    "remote_started_at",
    "remote_updated_at",
    "started_at",
    "first_seen_at",
    "last_seen_at",
    "last_progress_at",
    "stalled_since",
    "waiting_since",
    "invalidated_at",
    "finished_at",
    "gone_at",
    "modified_at",
    "unreadable",
    "note",
    "note_by",
    "note_at",
)
#: The columns of CSV: the keys, with a column for each counter.
COLUMNS = tuple(column for key in KEYS for column in (COUNTS if key == _COUNTERS else (key,)))

# A spreadsheet reads a cell as a formula if it begins with one of these, full-width forms
# included: https://owasp.org/www-community/attacks/CSV_Injection and, with NUL, ASVS 5.0 1.2.10.
_FORMULA = "=+\\-@＝＋－＠"
# A cell must not begin with these either: a program may drop them and read what follows.
_DROPPED = "\t\r\n\0"
# A spreadsheet may start a new cell after these, in the middle of a text. Excel separates at
# semicolons, even quoted ones, where the comma is the decimal separator; LibreOffice also at tabs.
_SEPARATORS = f";{_DROPPED}"
# Characters before a formula that a program may strip: quotes, blanks, control characters and
# characters of no width.
_HIDDEN = "\"'\x01-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f"
_HIDDEN += "\u205f-\u206f\u3000\ufeff"
_FORMULA_START = re.compile(
    rf"\A(?=[{_HIDDEN}]*+[{_FORMULA}{_DROPPED}])|(?<=[{_SEPARATORS}])(?=[{_HIDDEN}]*+[{_FORMULA}])"
)


def formula_safe(text: str) -> str:
    """Return a text in which no spreadsheet finds a formula, wherever it splits cells.

    Each possible formula gets an apostrophe before it, as OWASP advises; nothing else changes.
    """
    return _FORMULA_START.sub("'", text)


def to_dict(operation: ImportOperation, now: datetime) -> dict[str, Any]:
    """Return an operation at a time as a dict with KEYS, of JSON values."""
    outcome = operation.present_outcome
    time_left = operation.time_left(now)
    expected, low, high = time_left.seconds() if time_left else (None, None, None)
    derived = {
        "outcome": outcome.value if outcome else None,
        "stalled": operation.is_stalled,
        "file_name": operation.file_name,
        _COUNTERS: operation.counters,
        "percent": operation.percent,
        "seconds_left": expected,
        "seconds_left_low": low,
        "seconds_left_high": high,
        "duration_seconds": round(operation.duration(now).total_seconds()),
    }
    return {
        key: derived[key] if key in derived else _time_as_text(getattr(operation, key))
        for key in KEYS
    }


def _time_as_text(value: Any) -> Any:
    """Return a time in ISO 8601 and UTC, and any other value unchanged."""
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Line:
    """A file whose `write` returns the text, so that `csv.writer.writerow` returns the line."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[ImportOperation], now: datetime) -> Iterator[str]:
    """Yield the lines of a CSV file (RFC 4180), its header first.

    It begins with a byte order mark: without one, Excel reads the file in a legacy code page.
    Text is quoted, so that line breaks and separators in it stay text; numbers are not, so that
    they stay numbers. An unknown value is an empty cell.

    If `rows` raises an error, a last line with a single cell says so before the error is raised:
    a truncated file would look complete, and some servers end a failed response like a complete
    one (granian under WSGI).
    """
    incomplete = _("INCOMPLETE: an error ended this export early.")
    writer = csv.writer(_Line(), quoting=csv.QUOTE_NONNUMERIC)
    yield "\N{BYTE ORDER MARK}" + writer.writerow(COLUMNS)
    try:
        for row in rows:
            values = to_dict(row, now)
            values |= values[_COUNTERS]
            yield writer.writerow([_cell(values[column]) for column in COLUMNS])
    except Exception:
        yield writer.writerow([incomplete])
        raise


def _cell(value: Any) -> str | int | float:
    """Return a value as it is written to CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return formula_safe(", ".join(value) if isinstance(value, list) else value)


def json_parts(rows: Iterable[ImportOperation], now: datetime) -> Iterator[str]:
    """Yield the parts of a JSON array with each row's object on a line of its own.

    If `rows` raises an error, the array stays open, so that no parser accepts it as complete.
    """
    separator = "[\n"
    for row in rows:
        yield separator + json.dumps(to_dict(row, now), ensure_ascii=False, allow_nan=False)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
