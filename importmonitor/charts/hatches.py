"""Fills that differ by their pattern, so that colour is never the only sign."""

from typing import NamedTuple

from importmonitor.models import Outcome

#: The hatches by name: a path to be stroked, in a tile of six by six units.
TILES = {
    "slash": "M-1 1L1 -1M0 6L6 0M5 7L7 5",
    "backslash": "M5 -1L7 1M0 0L6 6M-1 5L1 7",
    "cross": "M0 0L6 6M0 6L6 0",
    "upright": "M1.5 0V6M4.5 0V6",
    "flat": "M0 1.5H6M0 4.5H6",
    "grid": "M1.5 0V6M0 1.5H6",
    "zigzag": "M0 4.5L3 1.5L6 4.5",
    "dots": "M2 3H4",
    "plain": "",
}

#: The hatch of each outcome, None while an import runs; the tone is its badge's.
OUTCOME_HATCHES = {
    Outcome.DONE: "plain",
    Outcome.DONE_WITH_ERRORS: "slash",
    Outcome.INCOMPLETE: "flat",
    Outcome.FAILED: "cross",
    Outcome.INTERRUPTED: "zigzag",
    Outcome.SUPERSEDED: "upright",
    Outcome.CANCELED: "dots",
    None: "backslash",
}


class Hatch(NamedTuple):
    """A fill: its id in the page, its tone (as of the badges), and the path of its tile."""

    id: str
    tone: str
    tile: str


def make_hatch(prefix: str, name: str, tone: str) -> Hatch:
    """Return a hatch of TILES in a tone; `prefix` begins all ids of one chart."""
    return Hatch(f"{prefix}-{name}-{tone}", tone, TILES[name])
