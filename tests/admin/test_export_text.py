"""What is in an export: all that the REST face tells, as text that stays text in a spreadsheet."""

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
from importmonitor.admin.export import in_pieces
from importmonitor.api.rest.serializers import OperationSerializer
from importmonitor.models import EndReason, ImportOperation
from importmonitor.rocketchat.operation import COUNTS, parse_operation
from tests.admin.helpers import make_row
from tests.api.helpers import NOON
from tests.malformed_documents import ODD

BOM = "\N{BYTE ORDER MARK}"


def as_csv(*rows: ImportOperation) -> str:
    return "".join(exports.csv_lines(rows, NOON))


def as_json(*rows: ImportOperation) -> str:
    return "".join(exports.json_parts(rows, NOON))


def read_csv(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file as any program reads them."""
    assert text.startswith(BOM)
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


# Text stays text.


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
        # Behind what is not seen, or is taken away.
        (" =1", "' =1"),
        ("\N{NO-BREAK SPACE}=1", "'\N{NO-BREAK SPACE}=1"),
        ("\N{ZERO WIDTH SPACE}\x07=1", "'\N{ZERO WIDTH SPACE}\x07=1"),
        (f"{BOM}=1", f"'{BOM}=1"),
        ('"=1', "'\"=1"),
        ('" =1', "'\" =1"),
        ("'=1", "''=1"),
        # Where another separator begins another cell.
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
def test_formula_safe(text: str, cell: str) -> None:
    assert exports.formula_safe(text) == cell


FORMULA = set("=+-@＝＋－＠")
DROPPED = set("\t\r\n\0")
UNSEEN = {*map(chr, range(0x21)), "\N{NO-BREAK SPACE}", BOM, "\N{ZERO WIDTH SPACE}"}
TRICKY = st.text(st.sampled_from([*sorted(FORMULA | UNSEEN), *"\"',;|a1é🎉"]), max_size=12)
TEXTS = TRICKY | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def without_apostrophes(cell: str) -> str:
    """Return what a cell was made of, by the rule that the documentation of exports gives."""
    unseen = "".join(map(re.escape, sorted(UNSEEN - DROPPED | set("\"'"))))
    formula = "".join(map(re.escape, FORMULA))
    at_start = rf"\A'(?=[{unseen}]*[{formula}\t\r\n\0])"
    return re.sub(rf"{at_start}|(?<=[;\t\r\n\0])'(?=[{unseen}]*[{formula}])", "", cell)


@given(TRICKY)
@example("'\t'=")
def test_nothing_but_apostrophes_is_added(text: str) -> None:
    assert without_apostrophes(exports.formula_safe(text)) == text


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=3), st.sampled_from(",;\t"))
def test_no_cell_of_text_begins_with_a_formula(
    texts: list[tuple[str, str, str]], separator: str
) -> None:
    """Whatever a spreadsheet takes for the separator."""
    rows = [
        make_row(pk=7, type=a, file=b, note=c, unreadable=[a, c], count_total=-5)
        for a, b, c in texts
    ]
    file = io.StringIO(as_csv(*rows).removeprefix(BOM), newline="")
    cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    assert len(cells) >= len(texts)
    unseen = "".join(UNSEEN) + '"'
    seen = [cell.lstrip(unseen) for cell in cells]
    # A number is one, and no formula.
    assert not [cell for cell in seen if cell[:1] in FORMULA and cell != "-5"]
    if separator == ",":
        assert not [cell for cell in cells if cell[:1] in DROPPED]


@given(TEXTS, TEXTS)
def test_text_comes_back_as_it_was(file: str, note: str) -> None:
    [row] = read_csv(as_csv(make_row(pk=7, file=file, note=note)))
    assert row["file"] == exports.formula_safe(file)
    assert row["note"] == exports.formula_safe(note)
    told = json.loads("".join(exports.json_parts([make_row(pk=7, file=file, note=note)], NOON)))
    assert (told[0]["file"], told[0]["note"]) == (file, note)


def test_long_runs_of_blanks_are_no_trouble() -> None:
    """Looked at once each: were it more, this would not end."""
    for text in ("\t" * 1_000_000, " " * 1_000_000, ";'" * 500_000, "\n " * 500_000):
        assert len(exports.formula_safe(text)) <= len(text) + 1


# What is told.


def all_sorts() -> list[ImportOperation]:
    """Return an operation of each sort that a file should tell apart."""
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
        make_row(file="20260225_u1_=1.csv", remote_user_id="u1", content_type="text/csv"),
        *(make_row(end_reason=end) for end in EndReason.values),
    ]
    for number, row in enumerate(rows):
        row.pk = number
    return rows


def test_json_is_what_the_rest_face_tells() -> None:
    rows = all_sorts()
    context = {"now": NOON, "looks": {}}
    told = json.loads(json.dumps(OperationSerializer(rows, many=True, context=context).data))
    for row in told:
        del row["sync"]
    found = json.loads(as_json(*rows))
    assert found == told
    # Keys stand in the same order, too.
    assert [list(row) for row in found] == [list(row) for row in told]


def test_csv_tells_the_same() -> None:
    rows = all_sorts()
    words = {None: "", True: "true", False: "false"}
    for object_, row in zip(json.loads(as_json(*rows)), read_csv(as_csv(*rows)), strict=True):
        assert list(row) == list(exports.COLUMNS)
        counters = object_.pop("counters")
        told = object_ | counters
        told["unreadable"] = ", ".join(told["unreadable"])
        assert set(told) == set(row)
        for name, value in told.items():
            if isinstance(value, str):
                assert row[name] == exports.formula_safe(value)
            elif value is None or isinstance(value, bool):
                assert row[name] == words[value]
            else:
                assert json.loads(row[name]) == value


def test_a_line_of_csv() -> None:
    """Text in quotes, numbers without, nothing for what is not known; times in UTC."""
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
    assert ',"\'=1","\'=1","",-10,3,"","","","","","","","",0,"2026-03-25T12:00:00Z",' in line
    assert rest == ""


def test_no_rows_at_all() -> None:
    assert as_csv() == BOM + ",".join(f'"{name}"' for name in exports.COLUMNS) + "\r\n"
    assert json.loads(as_json()) == []


def test_one_object_a_line() -> None:
    rows = [make_row(pk=pk, note="a\nb\N{LINE SEPARATOR}c") for pk in (1, 2, 3)]
    first, *lines, last, rest = as_json(*rows).split("\n")
    assert (first, last, rest) == ("[", "]", "")
    assert [json.loads(line.rstrip(","))["id"] for line in lines] == [1, 2, 3]


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", ODD)
def test_odd_documents(name: str) -> None:
    read = parse_operation(ODD[name].document)
    fields = ("remote_id", "type", "importer_key", "status", "remote_user_id", "file", "unreadable")
    row = make_row(pk=1, **{field: getattr(read, field) for field in fields})
    [told], [cells] = json.loads(as_json(row)), read_csv(as_csv(row))
    for field in fields[:-1]:
        assert told[field] == getattr(read, field)
        assert cells[field] == exports.formula_safe(getattr(read, field))
    assert told["unreadable"] == read.unreadable


# When it breaks off.


class Breaks(Exception):
    """Something went wrong."""


def breaking(rows: list[ImportOperation]) -> Iterator[ImportOperation]:
    yield from rows
    raise Breaks


def until_it_breaks(lines: Iterator[str]) -> str:
    """Return what is sent before the error, which has to come."""
    sent: list[str] = []
    with pytest.raises(Breaks):
        sent.extend(in_pieces(lines))
    # An empty piece would be taken for the end by some.
    assert all(sent)
    return "".join(sent)


@pytest.mark.parametrize("count", [0, 1, 198, 199, 200, 201, 399])
def test_what_breaks_off_does_not_look_complete(count: int) -> None:
    rows = [make_row(number, pk=number) for number in range(count)]
    with translation.override("en"):
        told = until_it_breaks(exports.csv_lines(breaking(rows), NOON))
    *lines, last, rest = told.split("\r\n")
    assert len(lines) == count + 1
    assert (last, rest) == ('"INCOMPLETE: an error broke this export off."', "")
    told = until_it_breaks(exports.json_parts(breaking(rows), NOON))
    assert told.count('"id"') == count
    with pytest.raises(json.JSONDecodeError):
        json.loads(told)


def test_what_json_has_no_word_for_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json(make_row(pk=1, rate=float("nan")))
