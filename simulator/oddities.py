"""Malformed operations, as Rocket.Chat has sent them or could."""

from collections.abc import Callable
from typing import Any

from simulator.clock import parse_time, to_milliseconds

Document = dict[str, Any]


def _promise_as_total(document: Document) -> None:
    # A bug of Rocket.Chat 6.2.5, whose rows still crash its own page.
    document["count"] = {**document.get("count", {}), "total": "0[object Promise]", "messages": {}}


def _no_count(document: Document) -> None:
    document.pop("count", None)


def _all_strings(document: Document) -> None:
    # As on the vendor's page of getCurrentImportOperation.
    created = parse_time(document["ts"])
    document["valid"] = "true" if document["valid"] else "false"
    document["ts"] = document["ts"] if created is None else str(to_milliseconds(created))


def _markup(document: Document) -> None:
    document["type"] = "<script>alert('type')</script>"
    document["file"] = "2026010_someone_<img src=x onerror=alert(1)>.zip"


def _bad_text(document: Document) -> None:
    document["type"] = "NUL \x00, a lone surrogate \ud83d, a smile \U0001f600"


def _personal_data(document: Document) -> None:
    user = {"user_id": "U1", "username": "jane", "email": "jane.doe@example.org"}
    document["fileData"] = {"name": "CSV", "users": [user], "channels": [], "message_count": 3}


def _unknown_step(document: Document) -> None:
    if document["status"].startswith("importer_importing_"):
        document["status"] = "importer_importing_emoji"


def _unknown_keys(document: Document) -> None:
    document["messagesstatus"] = None
    document["user"] = None
    document["federation"] = {"$date": [1, {"deep": [None, True, 1.5e300]}]}


ODDITIES: tuple[Callable[[Document], None], ...] = (
    _promise_as_total,
    _no_count,
    _all_strings,
    _markup,
    _bad_text,
    _personal_data,
    _unknown_step,
    _unknown_keys,
)


def apply_oddity(document: Document, number: int) -> None:
    """Change an operation in place, by the oddity at `number` (0 and up, cyclic)."""
    ODDITIES[number % len(ODDITIES)](document)
