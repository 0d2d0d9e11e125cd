"""Exports: the fields of the REST API, as text that stays text in a spreadsheet."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation
from hypothesis import example, given
from hypothesis import strategies as st

from importmonitor import exports
from importmonitor.admin.export import join_lines
from importmonitor.api.rest.serializers import OperationSerializer
from importmonitor.models import EndReason, ImportOperation
from importmonitor.rocketchat.operation import COUNTS, parse_operation
from tests.admin.helpers import make_row
from tests.api.helpers import NOON
from tests.malformed_documents import MALFORMED_DOCUMENTS

BOM = "\N{BYTE ORDER MARK}"


def as_csv(*rows: ImportOperation) -> str:
    return "".join(exports.csv_lines(rows, NOON))


def as_json(*rows: ImportOperation) -> str:
    return "".join(exports.json_parts(rows, NOON))


def read_csv(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, parsed strictly."""
    assert text.startswith(BOM)
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("", ""),
        ("people.csv", "people.csv"),
        ("1-2 = 3+4 @home", "1-2 = 3+4 @home"),
        ("a, b; c", "a, b; c"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
        ("one\ntwo", "one\ntwo"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("\0x", "'\0x"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        # After invisible or stripped characters.
        (" =1", "' =1"),
        ("\N{NO-BREAK SPACE}=1", "'\N{NO-BREAK SPACE}=1"),
        ("\N{ZERO WIDTH SPACE}\x07=1", "'\N{ZERO WIDTH SPACE}\x07=1"),
        (f"{BOM}=1", f"'{BOM}=1"),
        ('"=1', "'\"=1"),
        ('" =1', "'\" =1"),
        ("'=1", "''=1"),
        # After another separator, which can start a new cell.
        ("a;=1", "a;'=1"),
        ("a\t=1", "a\t'=1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n-b", "a\r\n'-b"),
        ('a;" @x', "a;'\" @x"),
        (";\t=1", ";\t'=1"),
        ("a; b", "a; b"),
        ("a,=1", "a,=1"),
    ],
)
def test_formula_gets_an_apostrophe(text: str, cell: str) -> None:
    assert exports.formula_safe(text) == cell


FORMULA = set("=+-@＝＋－＠")
DROPPED = set("\t\r\n\0")
HIDDEN = {*map(chr, range(0x21)), "\N{NO-BREAK SPACE}", BOM, "\N{ZERO WIDTH SPACE}"}
TRICKY = st.text(st.sampled_from([*sorted(FORMULA | HIDDEN), *"\"',;|a1é🎉"]), max_size=12)
TEXTS = TRICKY | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def without_apostrophes(cell: str) -> str:
    """Return the text of a cell, by the documented rule for apostrophes."""
    hidden = "".join(map(re.escape, sorted(HIDDEN - DROPPED | set("\"'"))))
    formula = "".join(map(re.escape, FORMULA))
    at_start = rf"\A'(?=[{hidden}]*[{formula}\t\r\n\0])"
    return re.sub(rf"{at_start}|(?<=[;\t\r\n\0])'(?=[{hidden}]*[{formula}])", "", cell)


@given(TRICKY)
@example("'\t'=")
def test_only_apostrophes_are_added(text: str) -> None:
    assert without_apostrophes(exports.formula_safe(text)) == text


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=3), st.sampled_from(",;\t"))
def test_no_text_cell_starts_with_a_formula_at_any_separator(
    texts: list[tuple[str, str, str]], separator: str
) -> None:
    rows = [
        make_row(pk=7, type=a, file=b, note=c, unreadable=[a, c], count_total=-5)
        for a, b, c in texts
    ]
    file = io.StringIO(as_csv(*rows).removeprefix(BOM), newline="")
    cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    assert len(cells) >= len(texts)
    hidden = "".join(HIDDEN) + '"'
    visible = [cell.lstrip(hidden) for cell in cells]
    # A negative number is no formula.
    assert not [cell for cell in visible if cell[:1] in FORMULA and cell != "-5"]
    if separator == ",":
        assert not [cell for cell in cells if cell[:1] in DROPPED]


@given(TEXTS, TEXTS)
def test_text_survives_the_round_trip(file: str, note: str) -> None:
    [row] = read_csv(as_csv(make_row(pk=7, file=file, note=note)))
    assert row["file"] == exports.formula_safe(file)
    assert row["note"] == exports.formula_safe(note)
    [row_json] = json.loads(as_json(make_row(pk=7, file=file, note=note)))
    assert (row_json["file"], row_json["note"]) == (file, note)


def test_note_has_its_author_and_time() -> None:
    noted, other = make_row(note="asked IT", note_by="=ada", note_at=NOON), make_row()
    first, second = read_csv(as_csv(noted, other))
    assert (first["note_by"], first["note_at"]) == ("'=ada", "2026-03-25T12:00:00Z")
    assert (second["note_by"], second["note_at"]) == ("", "")
    first_json, second_json = json.loads(as_json(noted, other))
    assert (first_json["note_by"], first_json["note_at"]) == ("=ada", "2026-03-25T12:00:00Z")
    assert (second_json["note_by"], second_json["note_at"]) == ("", None)


def test_long_runs_of_blanks_take_linear_time() -> None:
    """In quadratic time, this would not end."""
    for text in ("\t" * 1_000_000, " " * 1_000_000, ";'" * 500_000, "\n " * 500_000):
        assert len(exports.formula_safe(text)) <= len(text) + 1


def various_rows() -> list[ImportOperation]:
    """Return operations with all kinds of values."""
    done: dict[str, Any] = {"status": "importer_done", "state": "done", "end_reason": "done"}
    again: dict[str, Any] = {"status": "importer_importing_users", "end_reason": "done"}
    rows = [
        make_row(rate=0.5, count_total=100, count_completed=9, last_progress_at=NOON),
        make_row(stalled_since=NOON, count_total=-5, count_error=-1, valid=None),
        make_row(**done, valid=False, count_total=135, count_completed=179),
        make_row(**done, count_completed=1, count_total=9, finished_at=NOON.replace(microsecond=1)),
        make_row(**done, **{f"count_{name}": 2**60 + n for n, name in enumerate(COUNTS)}),
        make_row(**again, unreadable=["count.users", "=ts"]),
        make_row(state="ready", waiting_since=NOON, remote_started_at=NOON, note="ü\n=1;\"2'"),
        make_row(note="asked IT", note_by="=ada", note_at=NOON),
        make_row(file="20260225_u1_=1.csv", remote_user_id="u1", content_type="text/csv"),
        *(make_row(end_reason=end) for end in EndReason.values),
    ]
    for number, row in enumerate(rows):
        row.pk = number
    return rows


def test_json_equals_the_rest_api_without_sync() -> None:
    rows = various_rows()
    context = {"now": NOON, "workspaces": {}}
    rest = json.loads(json.dumps(OperationSerializer(rows, many=True, context=context).data))
    for row in rest:
        del row["sync"]
    exported = json.loads(as_json(*rows))
    assert exported == rest
    # The keys are in the same order, too.
    assert [list(row) for row in exported] == [list(row) for row in rest]


def test_csv_equals_json() -> None:
    rows = various_rows()
    words = {None: "", True: "true", False: "false"}
    for object_, row in zip(json.loads(as_json(*rows)), read_csv(as_csv(*rows)), strict=True):
        assert list(row) == list(exports.COLUMNS)
        counters = object_.pop("counters")
        values = object_ | counters
        values["unreadable"] = ", ".join(values["unreadable"])
        assert set(values) == set(row)
        for name, value in values.items():
            if isinstance(value, str):
                assert row[name] == exports.formula_safe(value)
            elif value is None or isinstance(value, bool):
                assert row[name] == words[value]
            else:
                assert json.loads(row[name]) == value


def test_csv_quotes_text_but_not_numbers_and_leaves_unknown_values_empty() -> None:
    row = make_row(
        pk=7,
        remote_id="65f8a1c2e4b0d9a7c3f1e205",
        type='"CSV"',
        file="=1",
        count_total=-10,
        count_completed=3,
        remote_started_at=NOON.astimezone(),
    )
    header, line, rest = as_csv(row).split("\r\n")
    assert header.startswith(f'{BOM}"id","workspace","remote_id","type",')
    assert '"content_type","total","completed","error",' in header
    assert line.startswith('7,"default","65f8a1c2e4b0d9a7c3f1e205","""CSV""","csv",')
    assert ',"\'=1","\'=1","",-10,3,"","","","","","","","","","",0,"2026-03-25T12:00:00Z",' in line
    assert rest == ""


def test_no_rows_give_a_header_and_an_empty_array() -> None:
    assert as_csv() == BOM + ",".join(f'"{name}"' for name in exports.COLUMNS) + "\r\n"
    assert json.loads(as_json()) == []


def test_json_has_one_object_per_line() -> None:
    rows = [make_row(pk=pk, note="a\nb\N{LINE SEPARATOR}c") for pk in (1, 2, 3)]
    first, *lines, last, rest = as_json(*rows).split("\n")
    assert (first, last, rest) == ("[", "]", "")
    assert [json.loads(line.rstrip(","))["id"] for line in lines] == [1, 2, 3]


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_documents_are_exported(name: str) -> None:
    parsed = parse_operation(MALFORMED_DOCUMENTS[name].document)
    fields = ("remote_id", "type", "importer_key", "status", "remote_user_id", "file", "unreadable")
    row = make_row(pk=1, **{field: getattr(parsed, field) for field in fields})
    [object_], [cells] = json.loads(as_json(row)), read_csv(as_csv(row))
    for field in fields[:-1]:
        assert object_[field] == getattr(parsed, field)
        assert cells[field] == exports.formula_safe(getattr(parsed, field))
    assert object_["unreadable"] == parsed.unreadable


class ExportError(Exception):
    """Raised in the middle of an export."""


def failing(rows: list[ImportOperation]) -> Iterator[ImportOperation]:
    yield from rows
    raise ExportError


def sent_before_error(lines: Iterator[str]) -> str:
    """Return what is sent before the expected error."""
    sent: list[str] = []
    with pytest.raises(ExportError):
        sent.extend(join_lines(lines))
    # Some servers take an empty piece for the end.
    assert all(sent)
    return "".join(sent)


@pytest.mark.parametrize("count", [0, 1, 198, 199, 200, 201, 399])
def test_failed_export_does_not_look_complete(count: int) -> None:
    rows = [make_row(number, pk=number) for number in range(count)]
    with translation.override("en"):
        text = sent_before_error(exports.csv_lines(failing(rows), NOON))
    *lines, last, rest = text.split("\r\n")
    assert len(lines) == count + 1
    assert (last, rest) == ('"INCOMPLETE: an error ended this export early."', "")
    text = sent_before_error(exports.json_parts(failing(rows), NOON))
    assert text.count('"id"') == count
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_value_that_json_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json(make_row(pk=1, rate=float("nan")))


@pytest.mark.parametrize(("name", "cell"), [("=Ada", "'=Ada"), ("", ""), (None, "")])
def test_export_has_the_name_of_the_user(name: str | None, cell: str) -> None:
    row = make_row(remote_user_id="u1", remote_user_name=name)
    assert read_csv(as_csv(row))[0]["started_by_name"] == cell
    assert json.loads(as_json(row))[0]["started_by_name"] == (name or "")
