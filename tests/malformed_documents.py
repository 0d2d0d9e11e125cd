"""Documents that no workspace should send, and how each is stored and returned."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.api.helpers import RUNNING

SCRIPT = "<script>alert(1)</script>"
KEYS = set(RUNNING)


@dataclass(frozen=True)
class MalformedDocument:
    """A document, and how it is stored and returned.

    `stored` are fields of its row; `response` is what the endpoint returns, if that is not the
    document itself; `cut` are keys whose values are stored in part at most, and then listed in
    `unreadable`.
    """

    document: Mapping[str, Any]
    stored: Mapping[str, Any] = field(default_factory=dict)
    unreadable: Set[str] = frozenset()
    response: Mapping[str, Any] | None = None
    cut: Set[str] = frozenset()


def malformed(
    changes: Mapping[str, Any],
    stored: Mapping[str, Any] | None = None,
    unreadable: Set[str] = frozenset(),
    response: Mapping[str, Any] | None = None,
    cut: Set[str] = frozenset(),
) -> MalformedDocument:
    """Return the running import with some keys changed, also in the response."""
    if response is not None:
        response = {**RUNNING, **response}
    return MalformedDocument({**RUNNING, **changes}, stored or {}, unreadable, response, cut)


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in RUNNING.items() if key not in keys}


def with_all_fields(value: object, *readable: str) -> MalformedDocument:
    """Return a document whose fields all have this value, which is valid for `readable` alone."""
    return MalformedDocument(dict.fromkeys(RUNNING, value), {}, frozenset(KEYS - set(readable)))


def nested(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"deeper": value}
    return value


def bad_time(value: object) -> MalformedDocument:
    return malformed({"ts": value}, {"remote_started_at": None}, {"ts"})


REPLACED = "\N{REPLACEMENT CHARACTER}"
BACKWARDS = "\N{RIGHT-TO-LEFT OVERRIDE}cod.exe\N{LEFT-TO-RIGHT OVERRIDE}"


def with_character(char: str) -> MalformedDocument:
    """Return a document with a character that not every database can store, in keys too."""
    sent, kept = f"a{char}b", f"a{REPLACED}b"
    changes = {"type": sent, "file": sent, "importerKey": sent, "contentType": sent, "note": [sent]}
    response = {key: [kept] if key == "note" else kept for key in changes}
    return malformed(
        {**changes, sent: {sent: sent}},
        {"type": kept, "file": kept, "importer_key": kept, "content_type": kept},
        response={**response, kept: {kept: kept}},
    )


MANY = {f"key{number}": number for number in range(10_000)}

MALFORMED_DOCUMENTS = {
    "NUL": with_character("\0"),
    "lone surrogate": with_character("\ud800"),
    "NUL as the step": malformed(
        {"status": "importer_\0"}, {"state": "unknown"}, response={"status": f"importer_{REPLACED}"}
    ),
    "NUL in the id": malformed(
        {"_id": "a\0b"}, unreadable={"_id"}, response={"_id": f"a{REPLACED}b"}
    ),
    "surrogate as the user": malformed(
        {"user": "\udfff"}, {"remote_user_id": ""}, {"user"}, response={"user": REPLACED}
    ),
    "type of 100,000 characters": malformed(
        {"type": "x" * 100_000}, {"type": "x" * 254 + "…"}, cut={"type"}
    ),
    "file of 600 characters": malformed({"file": "é" * 600}, {"file": "é" * 511 + "…"}),
    "no id": MalformedDocument(without("_id"), {}, frozenset({"_id"})),
    "empty id": malformed({"_id": ""}, unreadable={"_id"}),
    "id of 65 characters": malformed({"_id": "i" * 65}, unreadable={"_id"}),
    "empty": MalformedDocument({}, {"type": "", "state": "unknown"}, frozenset({"_id"})),
    "all null": MalformedDocument(
        dict.fromkeys(RUNNING), {"type": "", "valid": None}, frozenset({"_id"})
    ),
    "all lists": with_all_fields([]),
    "all objects": with_all_fields({}, "count"),
    "all numbers": with_all_fields(7, "ts", "_updatedAt"),
    "all negative": with_all_fields(-1),
    "all fractions": with_all_fields(1.5),
    "all true": with_all_fields(True, "valid"),
    "all text": MalformedDocument(
        dict.fromkeys(RUNNING, "?"),
        {"remote_id": "?", "type": "?", "status": "?", "state": "unknown"},
        frozenset({"valid", "ts", "_updatedAt", "count"}),
    ),
    "counters of Rocket.Chat 6.2.5": malformed(
        {"count": {"total": "0[object Promise]", "messages": {}, "completed": 3}},
        {"count_total": None, "count_messages": None, "count_completed": 3},
        {"count.total", "count.messages"},
    ),
    "179 of 135": malformed(
        {"count": {"total": 135, "completed": 179}}, {"count_total": 135, "count_completed": 179}
    ),
    "negative counters": malformed(
        {"count": {"total": -1, "completed": -2, "error": -3}}, {"count_total": -1}
    ),
    "the largest counters": malformed(
        {"count": {"total": 2**63 - 1, "completed": 2**63 - 1}}, {"count_total": 2**63 - 1}
    ),
    "counter above 64 bits": malformed(
        {"count": {"total": 2**63, "completed": 5}},
        {"count_total": None, "count_completed": 5},
        {"count.total", "count"},
        response={"count": {"total": None, "completed": 5}},
    ),
    "unknown step": malformed(
        {"status": "importer_dreaming"}, {"status": "importer_dreaming", "state": "unknown"}
    ),
    "year 316,887": bad_time(9_937_800_000_000_000),
    "year 316,887 as text": malformed(
        {"ts": "9937800000000000"},
        {"remote_started_at": None},
        {"ts"},
        response={"ts": 9_937_800_000_000_000},
    ),
    "year 316,887 in ISO's form": bad_time("+316887-01-01T00:00:00.000Z"),
    "year 0": bad_time("0000-01-01T00:00:00.000Z"),
    "year 9999": bad_time("9999-12-31T23:59:59.999Z"),
    "before 1970": bad_time(-1),
    "far before 1970": bad_time(-62_135_596_800_001),
    "time 0": malformed({"ts": 0}, {"remote_started_at": datetime(1970, 1, 1, tzinfo=UTC)}),
    "script in every string": malformed(
        {
            **{key: SCRIPT for key in KEYS if isinstance(RUNNING[key], str)},
            "count": {"total": SCRIPT, SCRIPT: SCRIPT},
            SCRIPT: [SCRIPT, {SCRIPT: SCRIPT}],
            f"deep {SCRIPT}": nested(300),
            "valid": SCRIPT,
        },
        {"remote_id": SCRIPT, "type": SCRIPT, "file": SCRIPT, "status": SCRIPT},
        {"ts", "_updatedAt", "valid", "count.total"},
        cut={f"deep {SCRIPT}"},
    ),
    "other scripts": malformed(
        {
            "type": "\"><img src=x onerror='alert(1)'>",
            "file": "</pre></td><SCRIPT>alert(1)</SCRIPT>",
            "status": "{{ settings.SECRET_KEY }}{% load x %}",
            "user": "&lt;script&gt;",
        },
        {"status": "{{ settings.SECRET_KEY }}{% load x %}"},
    ),
    "right to left": malformed(
        {"type": BACKWARDS, "file": BACKWARDS, BACKWARDS: 1}, {"type": BACKWARDS}
    ),
    "emoji": malformed({"type": "🎉🏳️‍🌈", "file": "🎉.csv", "🎉": "🎉"}, {"type": "🎉🏳️‍🌈"}),
    "patterns of a search": malformed({"type": "100%_\\'\"", "file": "%"}),
    "10,000 keys": malformed(MANY, {"type": "CSV"}, cut=MANY.keys()),
    "nested 300 deep": malformed({"deep": nested(300), "flat": nested(10)}, cut={"deep"}),
    "names and addresses": malformed({"fileData": {"users": [{"email": "ada@example.org"}]}}),
}


def expected_response(case: MalformedDocument) -> dict[str, Any]:
    """Return the operation that the endpoint returns, without the keys that are cut."""
    response = case.document if case.response is None else case.response
    return {key: response[key] for key in response.keys() - case.cut - {"fileData"}}
