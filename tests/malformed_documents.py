"""Documents as no workspace should send them, and what is to become of each."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.api.helpers import RUNNING

SCRIPT = "<script>alert(1)</script>"
KEYS = set(RUNNING)


@dataclass(frozen=True)
class Odd:
    """A document and what is to become of it.

    `stored` are fields of its row; `told` is what the endpoint tells, if not what was sent; `cut`
    are the keys of which the store keeps as much as it likes, and says so in `unreadable`.
    """

    document: Mapping[str, Any]
    stored: Mapping[str, Any] = field(default_factory=dict)
    unreadable: Set[str] = frozenset()
    told: Mapping[str, Any] | None = None
    cut: Set[str] = frozenset()


def odd(
    changes: Mapping[str, Any],
    stored: Mapping[str, Any] | None = None,
    unreadable: Set[str] = frozenset(),
    told: Mapping[str, Any] | None = None,
    cut: Set[str] = frozenset(),
) -> Odd:
    """Return the running import with some keys changed."""
    told = None if told is None else {**RUNNING, **told}
    return Odd({**RUNNING, **changes}, stored or {}, unreadable, told, cut)


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in RUNNING.items() if key not in keys}


def everything(value: object, *readable: str) -> Odd:
    """Return a document in which every field is this value, and those it does for."""
    return Odd(dict.fromkeys(RUNNING, value), {}, frozenset(KEYS - set(readable)))


def nested(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"deeper": value}
    return value


def bad_time(value: object) -> Odd:
    return odd({"ts": value}, {"remote_started_at": None}, {"ts"})


REPLACED = "\N{REPLACEMENT CHARACTER}"
BACKWARDS = "\N{RIGHT-TO-LEFT OVERRIDE}cod.exe\N{LEFT-TO-RIGHT OVERRIDE}"


def with_character(char: str) -> Odd:
    """Return a document with a character that not every database takes, in keys too."""
    sent, kept = f"a{char}b", f"a{REPLACED}b"
    changes = {"type": sent, "file": sent, "importerKey": sent, "contentType": sent, "note": [sent]}
    told = {key: [kept] if key == "note" else kept for key in changes}
    return odd(
        {**changes, sent: {sent: sent}},
        {"type": kept, "file": kept, "importer_key": kept, "content_type": kept},
        told={**told, kept: {kept: kept}},
    )


MANY = {f"key{number}": number for number in range(10_000)}

ODD = {
    "NUL": with_character("\0"),
    "lone surrogate": with_character("\ud800"),
    "NUL as the step": odd(
        {"status": "importer_\0"}, {"state": "unknown"}, told={"status": f"importer_{REPLACED}"}
    ),
    "NUL in the id": odd({"_id": "a\0b"}, unreadable={"_id"}, told={"_id": f"a{REPLACED}b"}),
    "surrogate as the user": odd(
        {"user": "\udfff"}, {"remote_user_id": ""}, {"user"}, told={"user": REPLACED}
    ),
    "type of 100,000 characters": odd(
        {"type": "x" * 100_000}, {"type": "x" * 254 + "…"}, cut={"type"}
    ),
    "file of 600 characters": odd({"file": "é" * 600}, {"file": "é" * 511 + "…"}),
    "no id": Odd(without("_id"), {}, frozenset({"_id"})),
    "empty id": odd({"_id": ""}, unreadable={"_id"}),
    "id of 65 characters": odd({"_id": "i" * 65}, unreadable={"_id"}),
    "nothing at all": Odd({}, {"type": "", "state": "unknown"}, frozenset({"_id"})),
    "all null": Odd(dict.fromkeys(RUNNING), {"type": "", "valid": None}, frozenset({"_id"})),
    "all lists": everything([]),
    "all objects": everything({}, "count"),
    "all numbers": everything(7, "ts", "_updatedAt"),
    "all negative": everything(-1),
    "all fractions": everything(1.5),
    "all true": everything(True, "valid"),
    "all text": Odd(
        dict.fromkeys(RUNNING, "?"),
        {"remote_id": "?", "type": "?", "status": "?", "state": "unknown"},
        frozenset({"valid", "ts", "_updatedAt", "count"}),
    ),
    "counters of Rocket.Chat 6.2.5": odd(
        {"count": {"total": "0[object Promise]", "messages": {}, "completed": 3}},
        {"count_total": None, "count_messages": None, "count_completed": 3},
        {"count.total", "count.messages"},
    ),
    "179 of 135": odd(
        {"count": {"total": 135, "completed": 179}}, {"count_total": 135, "count_completed": 179}
    ),
    "negative counters": odd(
        {"count": {"total": -1, "completed": -2, "error": -3}}, {"count_total": -1}
    ),
    "the largest counters": odd(
        {"count": {"total": 2**63 - 1, "completed": 2**63 - 1}}, {"count_total": 2**63 - 1}
    ),
    "too large a counter": odd(
        {"count": {"total": 2**63, "completed": 5}},
        {"count_total": None, "count_completed": 5},
        {"count.total", "count"},
        told={"count": {"total": None, "completed": 5}},
    ),
    "unknown step": odd(
        {"status": "importer_dreaming"}, {"status": "importer_dreaming", "state": "unknown"}
    ),
    "year 316,887": bad_time(9_937_800_000_000_000),
    "year 316,887 as text": odd(
        {"ts": "9937800000000000"},
        {"remote_started_at": None},
        {"ts"},
        told={"ts": 9_937_800_000_000_000},
    ),
    "year 316,887 in ISO's form": bad_time("+316887-01-01T00:00:00.000Z"),
    "year 0": bad_time("0000-01-01T00:00:00.000Z"),
    "year 9999": bad_time("9999-12-31T23:59:59.999Z"),
    "before 1970": bad_time(-1),
    "far before 1970": bad_time(-62_135_596_800_001),
    "time 0": odd({"ts": 0}, {"remote_started_at": datetime(1970, 1, 1, tzinfo=UTC)}),
    "script in every string": odd(
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
    "other ways to write a script": odd(
        {
            "type": "\"><img src=x onerror='alert(1)'>",
            "file": "</pre></td><SCRIPT>alert(1)</SCRIPT>",
            "status": "{{ settings.SECRET_KEY }}{% load x %}",
            "user": "&lt;script&gt;",
        },
        {"status": "{{ settings.SECRET_KEY }}{% load x %}"},
    ),
    "right to left": odd({"type": BACKWARDS, "file": BACKWARDS, BACKWARDS: 1}, {"type": BACKWARDS}),
    "emoji": odd({"type": "🎉🏳️‍🌈", "file": "🎉.csv", "🎉": "🎉"}, {"type": "🎉🏳️‍🌈"}),
    "what a search takes for a pattern": odd({"type": "100%_\\'\"", "file": "%"}),
    "10,000 keys": odd(MANY, {"type": "CSV"}, cut=MANY.keys()),
    "nested 300 deep": odd({"deep": nested(300), "flat": nested(10)}, cut={"deep"}),
    "names and addresses": odd({"fileData": {"users": [{"email": "ada@example.org"}]}}),
}


def told(case: Odd) -> dict[str, Any]:
    """Return the operation that the endpoint is to answer with, less what is cut."""
    found = case.document if case.told is None else case.told
    return {key: found[key] for key in found.keys() - case.cut - {"fileData"}}
