"""The paths of the progress chart: counters over time, in steps."""

from collections.abc import Sequence
from itertools import groupby

from importmonitor.charts.scales import Scale

#: Four points each of so many columns: at most 240 in all.
_COLUMNS = 60

Values = Sequence[tuple[float, int | None]]


def thinned(values: Values) -> Values:
    """Return at most 240 of these values, in order: of each column the ends and the extremes."""
    if len(values) <= 4 * _COLUMNS:
        return values
    first, last = values[0][0], values[-1][0]
    column = Scale(first, last, 0, _COLUMNS - 1)
    kept: list[tuple[float, int | None]] = []
    for _, group in groupby(enumerate(values), key=lambda each: round(column(each[1][0]))):
        members = list(group)
        counted = [each for each in members if each[1][1] is not None]
        extremes = [
            pick(counted, key=lambda each: each[1][1] or 0) for pick in (min, max) if counted
        ]
        chosen = dict((members[0], *extremes, members[-1]))
        kept += [chosen[index] for index in sorted(chosen)]
    return kept


def peak_of(values: Values) -> int:
    return max((value for _, value in values if value is not None), default=0)


def path(values: Values, across: Scale, down: Scale, floor: float | None = None) -> str:
    """Return a path in steps, or with a `floor` the areas below it.

    In steps, since a counter is only written down when it moved: a slope from one to the next
    would show a standstill as slow progress. Where there was no value, there is no line.
    """
    parts: list[str] = []
    for known, run in groupby(
        _with_ends(values, across.high), key=lambda each: each[2] is not None
    ):
        if not known:
            continue
        begun: float | None = None
        for start, end, value in run:
            x, y = across(start), down(value or 0)
            if begun is None:
                begun = x
                parts.append(f"M{x} {y}" if floor is None else f"M{x} {floor}V{y}")
            else:
                parts.append(f"V{y}")
            parts.append(f"H{across(end)}")
        if floor is not None:
            parts.append(f"V{floor}H{begun}Z")
    return "".join(parts)


def _with_ends(values: Values, end: float) -> list[tuple[float, float, int | None]]:
    """Return from when to when each value was the last that had been seen."""
    ends = [*(at for at, _ in values[1:]), end]
    return [(at, until, value) for (at, value), until in zip(values, ends, strict=False)]
