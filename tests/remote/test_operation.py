"""The parser: the vendor's example, and the malformed values that workspaces send."""

import json
import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from importmonitor.rocketchat.exceptions import BadAnswer
from importmonitor.rocketchat.operation import COUNTS, Operation, json_type, parse_operation
from importmonitor.rocketchat.payload import safe_text
from importmonitor.rocketchat.states import ImportState
from tests.api.test_vendor_example import EXAMPLE

VENDORS_EXAMPLE = EXAMPLE["operation"]
STARTED = datetime(2021, 10, 27, 12, 20, 34, 169_000, tzinfo=UTC)

PLAUSIBLE: dict[str, Any] = {
    "_id": "6530f1f2a0b5c1d2e3f40516",
    "type": "Slack",
    "importerKey": "slack",
    "ts": "2023-10-19T09:07:30.123Z",
    "status": "importer_importing_messages",
    "valid": True,
    "user": "d26x6zSkaPSe5gCyy",
    "_updatedAt": "2023-10-19T09:12:00.000Z",
    "count": {
        "total": 135,
        "completed": 35,
        "error": 1,
        "users": 10,
        "channels": 5,
        "messages": 120,
        "contacts": 0,
    },
    "file": "2023919_d26x6zSkaPSe5gCyy_slack.zip",
    "contentType": "application/zip",
    "messagesstatus": None,
}

#: The field of each key.
FIELDS = {
    "_id": "remote_id",
    "type": "type",
    "importerKey": "importer_key",
    "ts": "remote_started_at",
    "status": "status",
    "valid": "valid",
    "user": "remote_user_id",
    "_updatedAt": "remote_updated_at",
    "file": "file",
    "contentType": "content_type",
}
COUNT_FIELDS = [f"count_{name}" for name in COUNTS]
EMPTY = {
    field.name: field.default
    for field in fields(Operation)
    if field.name not in {"remote_id", "payload", "unreadable"}
}


def parse_with(**changes: Any) -> Operation:
    """Parse the plausible operation with some keys changed."""
    return parse_operation(PLAUSIBLE | changes)


# Examples.


def test_vendors_example_is_parsed() -> None:
    assert parse_operation(VENDORS_EXAMPLE) == Operation(
        remote_id="7PbvsnKJD9ZAqw38C",
        type="Pending Avatars",
        importer_key="pending-avatars",
        status="importer_done",
        valid=True,
        remote_user_id="d26x6zSkaPSe5gCyy",
        remote_started_at=STARTED,
        remote_updated_at=STARTED + timedelta(milliseconds=15),
        payload=VENDORS_EXAMPLE,
    )


def test_plausible_operation_is_parsed() -> None:
    operation = parse_operation(PLAUSIBLE)
    assert operation == Operation(
        remote_id="6530f1f2a0b5c1d2e3f40516",
        type="Slack",
        importer_key="slack",
        status="importer_importing_messages",
        valid=True,
        remote_user_id="d26x6zSkaPSe5gCyy",
        file="2023919_d26x6zSkaPSe5gCyy_slack.zip",
        content_type="application/zip",
        remote_started_at=datetime(2023, 10, 19, 9, 7, 30, 123_000, tzinfo=UTC),
        remote_updated_at=datetime(2023, 10, 19, 9, 12, tzinfo=UTC),
        count_total=135,
        count_completed=35,
        count_error=1,
        count_users=10,
        count_channels=5,
        count_messages=120,
        count_contacts=0,
        payload=PLAUSIBLE,
    )
    assert operation.state is ImportState.IMPORTING


@pytest.mark.parametrize("document", [None, True, 7, 1.5, "operation", [], [PLAUSIBLE]])
def test_non_object_is_bad_answer(document: object) -> None:
    with pytest.raises(BadAnswer, match=f"should be a JSON object, not {json_type(document)}"):
        parse_operation(document)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_json_type_names_every_type(value: object, name: str) -> None:
    assert json_type(value) == name


@pytest.mark.parametrize(
    "ts",
    [
        1635337234169,
        1635337234169.0,
        "1635337234169",
        "2021-10-27T12:20:34.169Z",
        "2021-10-27T12:20:34.169000+00:00",
        "2021-10-27T14:20:34.169+02:00",
        "2021-10-27T12:20:34.169",
    ],
)
@pytest.mark.parametrize(
    ("key", "name"), [("ts", "remote_started_at"), ("_updatedAt", "remote_updated_at")]
)
def test_time_is_read_in_every_format(key: str, name: str, ts: object) -> None:
    operation = parse_with(**{key: ts})
    moment = getattr(operation, name)
    assert moment == STARTED
    assert moment.utcoffset() == timedelta(0)
    assert operation.unreadable == []


@pytest.mark.parametrize(
    ("ts", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (253_370_764_799_999, datetime(9998, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2021-10-27", datetime(2021, 10, 27, tzinfo=UTC)),
    ],
)
def test_first_and_last_times_are_read(ts: object, moment: datetime) -> None:
    assert parse_with(ts=ts).remote_started_at == moment


@pytest.mark.parametrize(
    "ts",
    [
        -1,
        253_370_764_800_000,
        10**16,  # the year 316,887
        10**40,
        "9" * 15,
        "9" * 5_000,
        "+316887-01-01T00:00:00.000Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "1969-12-31T23:59:59Z",
        "yesterday",
        "",
        1.5,
        True,
        {},
        {"$date": 1635337234169},
        [1635337234169],
        math.nan,
        math.inf,
    ],
)
def test_bad_time_is_unreadable(ts: object) -> None:
    operation = parse_with(ts=ts)
    assert operation.remote_started_at is None
    assert operation.unreadable == ["ts"]
    assert replace(operation, payload={}, unreadable=[]) == replace(
        parse_with(ts=None), payload={}, unreadable=[]
    )


@pytest.mark.parametrize(
    ("value", "valid"),
    [(True, True), (False, False), ("true", True), ("false", False), (None, None)],
)
def test_valid_is_read_as_boolean_or_string(value: object, valid: bool | None) -> None:
    operation = parse_with(valid=value)
    assert operation.valid is valid
    assert operation.unreadable == []


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (135, 135),
        (179.0, 179),
        ("135", 135),
        ("-7", -7),
        (-7, -7),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (None, None),
    ],
)
def test_counter_is_read_as_number_or_string(value: object, number: int | None) -> None:
    operation = parse_with(count={"total": value})
    assert operation.count_total == number
    assert operation.unreadable == []


def test_completed_can_exceed_total() -> None:
    operation = parse_with(count={"total": 135, "completed": 179})
    assert (operation.count_total, operation.count_completed) == (135, 179)
    assert operation.unreadable == []


def test_counters_of_rocketchat_6_2_5_are_unreadable() -> None:
    count = {"total": "0[object Promise]", "messages": {}, "completed": 3}
    operation = parse_with(count=count)
    assert (operation.count_total, operation.count_messages) == (None, None)
    assert operation.count_completed == 3
    assert operation.unreadable == ["count.total", "count.messages"]
    assert operation.payload["count"] == count


def test_unknown_step_is_kept() -> None:
    operation = parse_with(status="importer_reticulating_splines")
    assert operation.status == "importer_reticulating_splines"
    assert operation.state is ImportState.UNKNOWN
    assert operation.unreadable == []


def test_unknown_keys_are_kept() -> None:
    operation = parse_with(brand={"new": [1, "two", None, 2.5]})
    assert operation.payload == PLAUSIBLE | {"brand": {"new": [1, "two", None, 2.5]}}
    assert operation.unreadable == []


def test_file_data_is_removed() -> None:
    operation = parse_with(fileData={"users": [{"email": "ada@example.org"}]})
    assert operation == parse_operation(PLAUSIBLE)
    assert "ada@example.org" not in repr(operation)


def test_html_is_plain_text() -> None:
    script = "<script>alert(1)</script>"
    document: dict[str, object] = dict.fromkeys(PLAUSIBLE, script)
    operation = parse_operation(document)
    assert operation.payload == document
    assert operation.remote_id == script
    for name in ("type", "importer_key", "status", "file", "content_type", "remote_user_id"):
        assert getattr(operation, name) == script
    assert operation.state is ImportState.UNKNOWN
    assert operation.unreadable == ["count", "valid", "ts", "_updatedAt"]


def test_long_text_is_cut_but_readable() -> None:
    operation = parse_with(type="x" * 256, file="y" * 513)
    assert operation.type == "x" * 254 + "…"
    assert operation.file == "y" * 511 + "…"
    assert operation.payload["type"] == "x" * 256
    assert operation.unreadable == []


def test_very_long_text_is_cut_in_payload_too() -> None:
    operation = parse_with(type="x" * 100_000)
    assert operation.type == "x" * 254 + "…"
    assert operation.payload["type"].startswith("x" * 1_000)
    assert len(operation.payload["type"]) < 10_000
    assert operation.unreadable == ["type"]


@pytest.mark.parametrize("character", ["\0", chr(0xD800), chr(0xDFFF)])
def test_characters_that_no_database_stores_are_replaced(character: str) -> None:
    operation = parse_with(type=f"C{character}V", **{f"k{character}y": [f"v{character}"]})
    assert operation.type == "C�V"
    assert operation.payload["type"] == "C�V"
    assert operation.payload["k�y"] == ["v�"]
    assert operation.unreadable == []


def test_astral_characters_are_kept() -> None:
    operation = parse_operation(json.loads(json.dumps(PLAUSIBLE | {"type": "📦" * 255})))
    assert operation.type == "📦" * 255


def test_null_fields_are_empty() -> None:
    operation = parse_operation(dict.fromkeys(PLAUSIBLE))
    assert {name: getattr(operation, name) for name in EMPTY} == EMPTY
    assert operation.payload == dict.fromkeys(PLAUSIBLE)
    assert operation.unreadable == ["_id"]
    assert operation.state is ImportState.UNKNOWN


def test_missing_fields_are_empty() -> None:
    operation = parse_operation({})
    assert {name: getattr(operation, name) for name in EMPTY} == EMPTY
    assert operation.unreadable == ["_id"]


def test_fields_of_wrong_type_are_unreadable() -> None:
    wrong = {
        key: "?" if key in {"count", "ts", "_updatedAt", "valid"} else [1] for key in PLAUSIBLE
    }
    operation = parse_operation(wrong)
    assert {name: getattr(operation, name) for name in EMPTY} == EMPTY
    assert operation.payload == wrong
    assert set(operation.unreadable) == {*FIELDS, "count"}


def test_substitute_id_does_not_change_during_import() -> None:
    document = {key: value for key, value in PLAUSIBLE.items() if key != "_id"}
    later = document | {
        "status": "importer_done",
        "valid": False,
        "count": {"total": 135, "completed": 135},
        "_updatedAt": "2023-10-19T10:00:00.000Z",
    }
    other = document | {"ts": "2023-10-20T09:07:30.123Z"}
    one = parse_operation(document)
    assert one.unreadable == ["_id"]
    assert one.remote_id.startswith("unidentified-")
    assert parse_operation(later).remote_id == one.remote_id
    assert parse_operation(other).remote_id != one.remote_id


def test_long_ids_do_not_collide() -> None:
    one, other = parse_with(_id="x" * 65 + "1"), parse_with(_id="x" * 65 + "2")
    assert one.remote_id != other.remote_id
    assert one.unreadable == other.unreadable == ["_id"]


def test_known_keys_are_kept_before_unknown_ones() -> None:
    """The endpoints respond with the payload: they cannot return an `_id` that it lacks."""
    many = {f"key {number}": number for number in range(300)}
    operation = parse_operation(many | PLAUSIBLE)
    assert {key: operation.payload.get(key) for key in PLAUSIBLE} == PLAUSIBLE


def test_large_values_do_not_displace_known_keys() -> None:
    sizes = (60_000, 10_000, 1_000, 100, 10, 1)
    large = {f"{size} {number}": "x" * size for size in sizes for number in range(18)}
    operation = parse_operation(large | PLAUSIBLE)
    assert {key: operation.payload.get(key) for key in PLAUSIBLE} == PLAUSIBLE
    assert len(json.dumps(operation.payload)) < 2 * 2**20
    assert "60000 17" in operation.unreadable


@pytest.mark.parametrize("value", [math.inf, 2**63, json.loads("[" * 40 + "]" * 40), "x" * 70_000])
def test_bad_counter_leaves_others_in_payload(value: object) -> None:
    operation = parse_with(count={"total": 135, "completed": 35, "messages": value})
    assert (operation.count_total, operation.count_completed) == (135, 35)
    assert "count.messages" in operation.unreadable
    kept = operation.payload["count"]
    assert (kept["total"], kept["completed"]) == (135, 35)


def test_safe_text_replaces_characters_and_cuts() -> None:
    assert safe_text("a\0b\ud800c") == "a�b�c"
    assert safe_text("abc", 3) == "abc"
    assert safe_text("abcd", 3) == "ab…"
