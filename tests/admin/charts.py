"""Rows for the charts, and readers and checks of their markup."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

from importmonitor.charts.history import History, build_history
from importmonitor.charts.progress import COLUMNS
from importmonitor.charts.stretches import GAP_AFTER
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod
from tests.admin.helpers import make_row
from tests.api.helpers import NOON

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
    """Return the history of an import that began at noon, `now` minutes later."""
    return build_history(
        operation or make_row(), samples, transitions or [], periods or [], after(now), GAP_AFTER
    )


class Markup:
    """A chart's markup, which has to be well-formed, and its elements."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.root = ET.fromstring(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.root.itertext()).split())

    def all(self, tag: str, class_: str = "") -> list[ET.Element]:
        """Return the elements with this tag, and with all of these classes."""
        wanted = set(class_.split())
        return [
            element
            for element in self.root.iter(tag)
            if wanted <= set(element.get("class", "").split())
        ]

    def texts(self, tag: str, class_: str = "") -> list[str]:
        return [element.text or "" for element in self.all(tag, class_)]

    @property
    def words(self) -> str:
        return self.texts("desc")[0]

    def rows(self) -> list[list[str]]:
        rows = (row for body in self.all("tbody") for row in body.iter("tr"))
        return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in rows]

    def check(self) -> None:
        """Check what holds of every chart."""
        assert "<script" not in self.html
        assert "<style" not in self.html
        ids = [element.get("id", "") for element in self.root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        for element in self.root.iter():
            assert not {"style", "onclick", "onload"} & set(element.keys())
            assert set(element.get("aria-labelledby", "").split()) <= set(ids)
            for reference in re.findall(r"url\(#(.*?)\)", element.get("fill", "")):
                assert reference in ids
        for drawing in self.all("svg"):
            if drawing.get("role"):
                assert len(drawing.get("aria-labelledby", "").split()) == 2
                height = float(drawing.get("height", ""))
                for element in drawing.iter():
                    for x, y in corners(element):
                        assert 0 <= x <= 100, ET.tostring(element)
                        assert 0 <= y <= height, ET.tostring(element)


def corners(element: ET.Element) -> Iterator[tuple[float, float]]:
    """Yield the outermost points of a shape, across in percent; of a text, where it stands."""
    if element.tag == "rect" and element.get("x"):
        x, y = percent(element, "x"), float(element.get("y", "nan"))
        width, height = percent(element, "width"), float(element.get("height", "nan"))
        assert width > 0
        assert height > 0
        yield from ((x, y), (round(x + width, 6), round(y + height, 6)))
    elif element.tag == "circle":
        yield percent(element, "cx"), float(element.get("cy", "nan"))
    elif element.tag == "line":
        yield percent(element, "x1"), float(element.get("y1", "nan"))
        yield percent(element, "x2"), float(element.get("y2", "nan"))
    elif element.tag == "text" and "%" in element.get("x", ""):
        yield percent(element, "x"), float(element.get("y", "nan"))
    elif element.tag == "path" and element.get("class"):
        yield from points(element.get("d", ""))


def percent(element: ET.Element, name: str) -> float:
    value = element.get(name, "0%")
    assert re.fullmatch(r"\d+(\.\d+)?%", value), value
    return float(value[:-1])


def points(path: str) -> Iterator[tuple[float, float]]:
    """Yield the points of a path in columns, across in percent."""
    x = y = 0.0
    assert re.fullmatch(r"([MHVZ]([\d.]+( [\d.]+)?)?)*", path), path
    for command, first, second in re.findall(r"([MHVZ])([\d.]+)? ?([\d.]+)?", path):
        if command == "M":
            x, y = float(first), float(second)
        elif command == "H":
            x = float(first)
        elif command == "V":
            y = float(first)
        yield x * 100 / COLUMNS, y
