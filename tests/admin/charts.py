"""Rows for the charts to draw, and what a chart's markup holds and has to hold."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import isfinite
from typing import Any
from xml.etree import ElementTree as ET

from importmonitor.charts.history import History, read
from importmonitor.charts.plot import FRAMES, Plot, plot
from importmonitor.charts.scales import LETTER_HEIGHT, room_of
from importmonitor.charts.stretches import GAP_AFTER
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod
from tests.admin.helpers import make_row
from tests.api.helpers import NOON

WIDE, NARROW = FRAMES
Reason = StatusTransition.Reason
USERS, MESSAGES = "importer_importing_users", "importer_importing_messages"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def after(count: float) -> datetime:
    return NOON + minutes(count)


def sample(
    at: float, completed: int | None, error: int | None = 0, total: int | None = 100
) -> ProgressSample:
    return ProgressSample(observed_at=after(at), completed=completed, error=error, total=total)


def transition(
    at: float, to_status: str, from_status: str = "", reason: str = Reason.REMOTE, **fields: Any
) -> StatusTransition:
    states = {"from_state": "importing", "to_state": "importing"}
    return StatusTransition(
        observed_at=after(at),
        from_status=from_status,
        to_status=to_status,
        reason=reason,
        **states | fields,
    )


def period(first: float, last: float, outcome: str = "ok", polls: int = 10) -> SyncPeriod:
    return SyncPeriod(
        workspace="default",
        outcome=outcome,
        first_at=after(first),
        last_at=after(last),
        polls=polls,
    )


def history(
    samples: list[ProgressSample],
    transitions: list[StatusTransition] | None = None,
    periods: list[SyncPeriod] | None = None,
    *,
    now: float = 100,
    operation: ImportOperation | None = None,
) -> History:
    """Read what began at noon and still runs, so many minutes later."""
    return read(
        operation or make_row(), samples, transitions or [], periods or [], after(now), GAP_AFTER
    )


def drawn(*args: Any, **kwargs: Any) -> Plot:
    return plot(history(*args, **kwargs), WIDE)


class Drawn:
    """A chart's markup, which has to be well-formed, and what is in it."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.root = ET.fromstring(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.root.itertext()).split())

    def all(self, tag: str) -> list[ET.Element]:
        return list(self.root.iter(tag))

    @property
    def drawings(self) -> list[ET.Element]:
        return [each for each in self.all("svg") if each.get("viewBox")]

    def rows(self) -> list[list[str]]:
        rows = (row for body in self.all("tbody") for row in body.iter("tr"))
        return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in rows]

    def check(self) -> None:
        """Check what holds of every chart."""
        assert "<script" not in self.html
        assert "<style" not in self.html
        ids = [each.get("id", "") for each in self.root.iter() if each.get("id")]
        assert len(ids) == len(set(ids))
        for each in self.root.iter():
            assert not {"style", "onclick", "onload"} & set(each.keys())
            assert set(each.get("aria-labelledby", "").split()) <= set(ids)
            for reference in re.findall(r"url\(#(.*?)\)", each.get("fill", "")):
                assert reference in ids
        for drawing in self.drawings:
            assert outside(drawing) == []


def outside(drawing: ET.Element) -> list[str]:
    """Return what is not within the viewBox, or not at a place at all."""
    _, _, width, height = map(float, drawing.get("viewBox", "").split())
    found = []
    for each in drawing.iter():
        for x, y in corners(each):
            if not (isfinite(x) and isfinite(y) and 0 <= x <= width and 0 <= y <= height):
                found.append(f"{each.tag} {each.attrib} {x} {y}")
    return found


def corners(each: ET.Element) -> Iterator[tuple[float, float]]:
    """Yield the outermost points of a shape; of a text, about those of its letters."""
    x, y = float(each.get("x", "0")), float(each.get("y", "0"))
    if each.tag == "rect":
        wide, high = float(each.get("width", "0")), float(each.get("height", "0"))
        assert wide >= 0
        assert high >= 0
        yield from ((x, y), (round(x + wide, 6), round(y + high, 6)))
    elif each.tag == "circle":
        yield float(each.get("cx", "nan")), float(each.get("cy", "nan"))
    elif each.tag == "text":
        room = room_of(each.text or "")
        left = round(
            x - {"start": 0, "middle": room / 2, "end": room}[each.get("text-anchor", "start")], 6
        )
        yield from ((left, y), (round(left + room, 6), max(0.0, y - LETTER_HEIGHT)))
        assert y - LETTER_HEIGHT >= -LETTER_HEIGHT / 2
    elif each.tag == "path":
        yield from points(each.get("d", ""))


def points(path: str) -> Iterator[tuple[float, float]]:
    x = y = 0.0
    assert re.fullmatch(r"([MHVLZv] ?-?[\d.]*( -?[\d.]+)?)*", path), path
    for command, first, second in re.findall(r"([MHVLZv])(-?[\d.]+)? ?(-?[\d.]+)?", path):
        if command in "ML":
            x, y = float(first), float(second)
        elif command == "H":
            x = float(first)
        elif command in "Vv":
            y = float(first) + (y if command == "v" else 0)
        yield x, y
