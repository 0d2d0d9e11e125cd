"""The words and dots of the progress chart: the steps that began, and the values at its ends."""

from collections.abc import Sequence
from typing import NamedTuple

from importmonitor.charts.history import Step
from importmonitor.charts.lines import Values
from importmonitor.charts.scales import (
    LETTER_HEIGHT,
    LETTER_WIDTH,
    Frame,
    Scale,
    compact,
    grouped,
    room_of,
    short_time,
)

_NEAR = 3.0
_LONGEST_VALUE = 10**10


class Label(NamedTuple):
    """A text; `anchor` is which end of it is at `x`: start or end."""

    x: float
    y: float
    anchor: str
    text: str

    @property
    def left(self) -> float:
        return self.x - (room_of(self.text) if self.anchor == "end" else 0.0)

    @property
    def right(self) -> float:
        return self.left + room_of(self.text)

    def touches(self, other: "Label") -> bool:
        """Tell whether the two would run into each other."""
        apart = self.right + LETTER_WIDTH <= other.left or other.right + LETTER_WIDTH <= self.left
        return not apart and abs(self.y - other.y) < LETTER_HEIGHT


class Boundary(NamedTuple):
    """Where another step began; its line reaches up to the labels if it has one."""

    x: float
    top: float
    label: Label | None
    title: str


class Mark(NamedTuple):
    """A point of a line that is worth a dot, and its value if there is room."""

    x: float
    y: float
    label: Label | None


def boundaries(steps: Sequence[Step], across: Scale, frame: Frame) -> tuple[Boundary, ...]:
    """Return where the step changed; those that lasted long are the first to get a label."""
    shown: list[tuple[float, Step]] = []
    for step in steps:
        x = across(step.at)
        # Of steps that began all but at once, the last is the one that lasted.
        if shown and step.label and x - shown[-1][0] < _NEAR:
            shown[-1] = (shown[-1][0], step)
        elif step.label:
            shown.append((x, step))
    ends = [*(x for x, _ in shown[1:]), across.end]
    lasting = sorted(range(len(shown)), key=lambda index: shown[index][0] - ends[index])
    labels: dict[int, Label] = {}
    for index in lasting:
        x, step = shown[index]
        label = Label(x + _NEAR, LETTER_HEIGHT, "start", step.label)
        if label.right > frame.width:
            # Only there: to the left of a line in the middle it would name the step before.
            label = Label(x - _NEAR, LETTER_HEIGHT, "end", step.label)
        if label.left >= 0 and not any(label.touches(other) for other in labels.values()):
            labels[index] = label
    return tuple(
        Boundary(
            x,
            0.0 if index in labels else float(frame.top),
            labels.get(index),
            f"{short_time(step.at)}: {', '.join(filter(None, (step.status, step.remark)))}",
        )
        for index, (x, step) in enumerate(shown)
    )


def marks(
    values: Values, across: Scale, down: Scale, total: int | None, frame: Frame
) -> tuple[Mark, ...]:
    """Return the first and the last value with their dots; the last one's words come first."""
    known = [(at, value) for at, value in values if value is not None]
    if not known:
        return ()
    (first_at, first), (last_at, last) = known[0], known[-1]
    # Where it is still the last that is known; after it nothing more was told.
    x = across.end if values[-1][1] is not None else across(last_at)
    end = _above(x, down(last), "end", _value(last, total), frame)
    found = [Mark(x, down(last), end)]
    first_x = across(first_at)
    begin = _above(first_x, down(first), "start", _value(first, None), frame)
    if first_x < x:
        found.insert(0, Mark(first_x, down(first), None if begin.touches(end) else begin))
    return tuple(found)


def _above(x: float, y: float, anchor: str, text: str, frame: Frame) -> Label:
    """Place a value above its point: there is room for it below the labels of the steps."""
    label = Label(x, y - 6, anchor, text)
    if label.left < 0:
        return Label(0.0, label.y, "start", text)
    if label.right > frame.width:
        return Label(float(frame.width), label.y, "end", text)
    return label


def _value(value: int, total: int | None) -> str:
    text = grouped(value) if abs(value) < _LONGEST_VALUE else compact(value)
    if total and 0 <= value <= total:
        return f"{text} ({value * 100 // total} %)"
    return text
