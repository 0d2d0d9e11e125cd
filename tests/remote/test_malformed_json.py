"""The parser against any JSON value."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from hypothesis import example, given, settings
from hypothesis import strategies as st

from importmonitor.models import ImportOperation
from importmonitor.rocketchat.exceptions import BadAnswer
from importmonitor.rocketchat.operation import COUNTS, Operation, parse_operation
from importmonitor.rocketchat.states import ImportState
from tests.remote.test_operation import COUNT_FIELDS, FIELDS


def nested(value: object, kinds: list[bool]) -> object:
    for as_list in kinds:
        value = [value] if as_list else {"in": value}
    return value


characters = st.characters() | st.sampled_from("\0\ud800\udfff\n\u202e…<📦")
texts = st.text(characters, max_size=12) | st.builds(
    lambda text, times: text * times,
    st.text(characters, min_size=1, max_size=2),
    st.sampled_from([64, 65, 255, 256, 512, 513, 10_000, 70_000]),
)
integers = st.integers() | st.sampled_from(
    [sign * (2**power + more) for sign in (1, -1) for power in (31, 53, 63) for more in (-1, 0, 1)]
    + [10**15, 10**16, 10**400, -(10**400)]
)
leaves = st.none() | st.booleans() | integers | st.floats() | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
) | st.builds(nested, leaves, st.lists(st.booleans(), min_size=15, max_size=40))

times = (
    st.datetimes().map(datetime.isoformat)
    | st.integers(0, 10**14)
    | st.integers(0, 10**19).map(str)
    | st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9](Z|[+-][0-9:]{2,6})?")
)
numbers = integers | integers.map(str) | st.floats()
operation_like = st.builds(
    lambda document, count, others: {**others, **document, **count},
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys([*FIELDS, "fileData", "messagesstatus"], values),
            "ts": times | values,
            "_updatedAt": times | values,
            "_id": texts | values,
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "count": values
            | st.fixed_dictionaries({}, optional=dict.fromkeys([*COUNTS, "more"], numbers | values))
        },
    ),
    st.dictionaries(texts, values, max_size=3),
)

no_deadline = settings(deadline=None)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)


def depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, Mapping):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


def assert_fits(operation: Operation) -> None:
    """Assert that every database can store the operation."""
    for field in fields(Operation):
        value = getattr(operation, field.name)
        column = ImportOperation._meta.get_field(field.name)
        if isinstance(column, models.CharField):
            assert isinstance(value, str)
            assert column.max_length is not None
            assert len(value) <= column.max_length
        elif isinstance(column, models.BigIntegerField):
            assert value is None or type(value) is int
            assert value is None or -(2**63) <= value < 2**63
        elif isinstance(column, models.BooleanField):
            assert value is None or type(value) is bool
        elif isinstance(column, models.DateTimeField):
            assert value is None or value.utcoffset() == timedelta(0)
            assert value is None or 1970 <= value.year <= 9999
        else:
            assert isinstance(column, models.JSONField)
    assert operation.remote_id
    for text in strings(asdict(operation)):
        assert "\0" not in text
        text.encode()  # raises where a surrogate is alone
    assert json.loads(json.dumps(operation.payload, allow_nan=False)) == operation.payload
    # MariaDB accepts at most 32 levels.
    assert depth(operation.payload) <= 24
    assert "fileData" not in operation.payload
    assert all(type(name) is str for name in operation.unreadable)
    assert len(operation.unreadable) == len(set(operation.unreadable)) <= 50
    assert isinstance(operation.state, ImportState)


@no_deadline
@given(values)
def test_json_raises_only_bad_answer(value: object) -> None:
    try:
        operation = parse_operation(value)
    except BadAnswer:
        assert not isinstance(value, dict)
    else:
        assert_fits(operation)


@no_deadline
@given(operation_like)
@example({"fileData": 1, "_id": "x" * 64, "user": "y" * 65})
@example({"ts": "2021-10-27\ud80012:20", "_updatedAt": "20211027"})
@example({"count": {"total": -(2**63), "completed": 2**63}})
@example({f"{number}": number for number in range(1_000)})
@example({f"{number}": "📦" * 9_000 for number in range(40)})
@example({"\ud800" * 300: 1, "\0" * 300: 2})
def test_parsed_operation_fits_columns(document: dict[str, Any]) -> None:
    operation = parse_operation(document)
    assert_fits(operation)
    assert parse_operation(document) == operation


@no_deadline
@given(operation_like)
@example({"count": {"total": 1, "more": math.inf}})
@example({"count": {"total": -(2**63)}})
@example({"count": {"total": 1, **{f"{number}": "x" * 5_000 for number in range(20)}}})
def test_payload_parses_to_same_operation(document: dict[str, Any]) -> None:
    """A later version can parse stored payloads again without loss."""
    operation = parse_operation(document)
    again = parse_operation(operation.payload)
    same: dict[str, Any] = {"unreadable": []}
    if "_id" in operation.unreadable:
        # A substitute id is made of the document, the payload of what could be stored.
        same["remote_id"] = ""
    if "count" not in operation.payload:
        # Left out: it holds too much besides the counters.
        same |= {f"count_{name}": None for name in COUNTS}
    assert replace(again, **same) == replace(operation, **same)


wrong_types = st.sampled_from([7, -1.5, True, [], {}, ["CSV"], {"a": "b"}])
wrong_numbers = st.sampled_from(
    ["0[object Promise]", "", "1.5", "1e3", "٣", {}, [], [1], True, 1.5, 2**63, -(2**63) - 1]
)
wrong_times = st.sampled_from(
    ["yesterday", "", "2021-13-01", "12:20", True, 1.5, -1, 10**16, 10**40, {}, [1], "1" * 30]
)
wrong_ids = wrong_types | st.sampled_from(
    ["", " ", "x" * 65, " 7PbvsnKJD9ZAqw38C", "7Pb\0C", "7Pb\ud800C", "7PbvsnKJD9ZAqw38C\n"]
)
#: Unreadable values of each key. Text that is too long, or has characters that no database can
#: store, is not unreadable: most of it is kept.
WRONG: dict[str, st.SearchStrategy[Any]] = {
    "_id": wrong_ids,
    "user": wrong_ids,
    **dict.fromkeys(("type", "importerKey", "status", "file", "contentType"), wrong_types),
    "valid": st.sampled_from(["yes", "", "True", 0, 1, 1.0, [], {}]),
    "ts": wrong_times,
    "_updatedAt": wrong_times,
    "count": st.sampled_from(["", "many", 7, True, 1.5, [], [1]]),
    **{f"count.{name}": wrong_numbers for name in COUNTS},
}

plausible = st.fixed_dictionaries(
    {
        "_id": st.from_regex(r"[0-9A-Za-z]{17}|[0-9a-f]{24}", fullmatch=True),
        "type": st.sampled_from(["CSV", "Slack", "Slack_Users", "Pending Avatars"]),
        "importerKey": st.sampled_from(["csv", "slack", "pending-avatars", "omnichannel_contact"]),
        "ts": st.sampled_from([1635337234169, "1635337234169", "2021-10-27T12:20:34.169Z"]),
        "status": st.sampled_from(["importer_new", "importer_importing_users", "importer_done"]),
        "valid": st.sampled_from([True, False, "true", "false"]),
        "user": st.from_regex(r"[0-9A-Za-z]{17}", fullmatch=True),
        "_updatedAt": st.just("2021-10-27T12:20:34.184Z"),
        "count": st.fixed_dictionaries({name: st.integers(0, 10**9) for name in COUNTS}),
        "file": st.just("2021927_d26x6zSkaPSe5gCyy_users.csv"),
        "contentType": st.just("text/csv"),
    },
    optional={"messagesstatus": st.none(), "progress": st.integers(0, 100)},
)


@no_deadline
@given(plausible, st.data())
def test_bad_field_does_not_affect_others(document: dict[str, Any], data: st.DataObject) -> None:
    good = parse_operation(document)
    assert good.unreadable == []

    name = data.draw(st.sampled_from(sorted(WRONG)))
    value = data.draw(WRONG[name])
    key, _, counter = name.partition(".")
    bad_value = document[key] | {counter: value} if counter else value
    bad = parse_operation(document | {key: bad_value})

    assert bad.unreadable[:1] == [name]
    assert_fits(bad)
    lost = (
        {f"count_{counter}"} if counter else set(COUNT_FIELDS) if key == "count" else {FIELDS[key]}
    )
    for field in fields(Operation):
        if field.name in {"payload", "unreadable"}:
            continue
        parsed = getattr(bad, field.name)
        if field.name not in lost:
            assert parsed == getattr(good, field.name)
        elif field.name == "remote_id":
            assert parsed.startswith("unidentified-")
        else:
            assert parsed == field.default
    assert {k: v for k, v in bad.payload.items() if k != key} == {
        k: v for k, v in good.payload.items() if k != key
    }
