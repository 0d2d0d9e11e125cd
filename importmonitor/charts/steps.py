"""The steps of an import as bands of a chart."""

from collections.abc import Sequence
from typing import Any

from importmonitor.charts.history import Step
from importmonitor.charts.scales import Scale, short_time

#: In percent: what is narrower is invisible, and steps that are closer are drawn as one.
MIN_WIDTH = 0.5
#: What is narrower than that has no number, nor a place in the legend, which has the widest.
_MIN_NUMBERED = 2.5
_MAX_NUMBERED = 8
_TINTS = 3
#: What a letter takes of the drawing's width beside the rest of a page; CSS hides names on phones.
_LETTER = 1.4


def step_bands(steps: Sequence[Step], across: Scale) -> list[dict[str, Any]]:
    """Return where another step began, how wide its band is, and the numbers of the widest."""
    shown: list[tuple[float, Step]] = []
    for step in steps:
        x = across(step.at)
        # Of steps that began at almost the same time, the last one is the one that lasted.
        if step.label and shown and x - shown[-1][0] < MIN_WIDTH:
            x, _step = shown.pop()
        if step.label:
            shown.append((x, step))
    ends = [*(x for x, _step in shown[1:]), 100.0]
    bands: list[dict[str, Any]] = [
        {
            "x": x,
            "width": round(end - x, 2),
            "tint": number % _TINTS,
            "number": 0,
            "name": step.label,
            "has_name": end - x > (len(step.label) + 3) * _LETTER,
            "title": ", ".join(
                filter(None, (f"{short_time(step.at)}: {step.status}", step.remark))
            ),
        }
        for number, ((x, step), end) in enumerate(zip(shown, ends, strict=False))
    ]
    wide = [band for band in bands if band["width"] >= _MIN_NUMBERED]
    widest = sorted(wide, key=lambda band: -band["width"])[:_MAX_NUMBERED]
    for number, band in enumerate((band for band in bands if band in widest), start=1):
        band["number"] = number
    return bands
