"""The pace of an import's steps, as learned from the imports before."""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from importmonitor.sync.forecast.types import MAX_SECONDS
from importmonitor.sync.speeds import MAX_IMPORTS, STEPS, USERS, PastImport, StepSpeed, interpolate

#: The bases of a forecast: the workspace's imports, those of any workspace, and neither.
WORKSPACE, IMPORTER, RATE = "workspace", "importer", "rate"

# By basis: the usual spread of the logarithm between imports, and the part that steps share.
_SPREADS = {WORKSPACE: (0.15, 0.5), IMPORTER: (0.6, 0.7)}
# The usual spread counts as much as so many imports: the spread of two or three says little.
_SPREAD_WEIGHT = 2
# The spread between the steps of an import where nothing is known about them.
_STEP_SPREAD = 0.8
# Rocket.Chat hashes a password for a user. Where both were observed, its own importers took as long
# for a user as for 2 to 15 messages: more likely 3 than 1, and `_STEP_SPREAD` covers both.
_USUAL_PACES = {USERS: 3.0}
# Where the curves of imports differ by more, a step does not go the same way every time.
_MAX_CURVE_SCATTER = 0.05
_LARGE_VARIANCE = 0.3
# Practically nothing is known.
_ANY_VARIANCE = 100.0


class Source(NamedTuple):
    """Finished imports to learn from, newest first."""

    basis: str
    imports: Sequence[PastImport]

    def speeds(self, step: str) -> list[StepSpeed]:
        """Return the usable speeds of a step, of the newest imports that have it."""
        speeds = [
            speed
            for past in self.imports
            for speed in past.steps
            if speed.step == step and is_usable(speed)
        ]
        return speeds[:MAX_IMPORTS]


class Pace(NamedTuple):
    """The seconds that a record of a step takes, and the variances of their logarithm.

    The error of `common` is the same in all steps of an import, that of `own` in this one alone.
    `weight` is the seconds that the whole step takes at this pace.
    """

    seconds: float
    common: float
    own: float
    basis: str
    curve: tuple[tuple[float, float], ...] = ()
    weight: float = 0.0

    def work(self, share: float) -> float:
        """Return how much of the step's work is done with a share of its records, 0 to 1."""
        return interpolate(self.curve, share) if self.curve else min(max(share, 0.0), 1.0)


class Share(NamedTuple):
    """The time of a step by that of all steps that handle records."""

    value: float
    basis: str


def sources_of(
    history: Sequence[PastImport], workspace: str, importer_key: str
) -> tuple[Source, Source]:
    """Return what to learn from, the best first."""
    imports = [past for past in history if past.importer_key == importer_key]
    same = [past for past in imports if past.workspace == workspace]
    return Source(WORKSPACE, same), Source(IMPORTER, imports)


def is_usable(speed: StepSpeed) -> bool:
    """Return whether a step's speed is one, and not beyond all reason."""
    return (
        0 < speed.records < 2**63
        and 0 < speed.seconds < MAX_SECONDS
        and speed.seconds / speed.records > 1e-9
    )


def step_paces(sizes: Mapping[str, int], sources: Sequence[Source]) -> dict[str, Pace]:
    """Return the paces of steps; one that was never observed goes by the others, as is usual."""
    learned = {step: pace for step in sizes if (pace := _learned_pace(step, sources)) is not None}
    unit = 1.0
    if learned:
        seconds = sum(sizes[step] * pace.seconds for step, pace in learned.items())
        unit = seconds / sum(sizes[step] * _USUAL_PACES.get(step, 1.0) for step in learned)
    paces = {}
    for step, size in sizes.items():
        usual = unit * _USUAL_PACES.get(step, 1.0)
        pace = learned.get(step) or Pace(usual, _ANY_VARIANCE, _STEP_SPREAD**2, RATE)
        paces[step] = pace._replace(weight=size * pace.seconds)
    return paces


def _learned_pace(step: str, sources: Sequence[Source]) -> Pace | None:
    for source in sources:
        speeds = source.speeds(step)
        if not speeds:
            continue
        logs = [math.log(speed.seconds / speed.records) for speed in speeds]
        center, count = statistics.median(logs), len(logs)
        spread, shared = _SPREADS[source.basis]
        squares = _SPREAD_WEIGHT * spread**2 + sum((log - center) ** 2 for log in logs)
        variance = squares / (_SPREAD_WEIGHT + count - 1) * (1 + 1 / count)
        # Imports with little in common are no guide at all: the present one is all that counts.
        variance *= min(max(variance / _LARGE_VARIANCE, 1.0), 4.0)
        return Pace(
            math.exp(center),
            common=variance * shared,
            own=variance * (1 - shared),
            basis=source.basis,
            curve=_usual_curve([speed.curve for speed in speeds if _is_curve(speed.curve)]),
        )
    return None


def _is_curve(curve: Sequence[float]) -> bool:
    return len(curve) == 9 and all(a <= b for a, b in pairwise((0.0, *curve, 1.0)))


def _usual_curve(curves: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Return the time of a step by its records, both as shares; empty if it differs every time."""
    if not curves:
        return ()
    medians = [statistics.median(times) for times in zip(*curves, strict=True)]
    scatter = statistics.fmean(
        abs(time - median) for curve in curves for time, median in zip(curve, medians, strict=True)
    )
    if scatter > _MAX_CURVE_SCATTER:
        return ()
    shares = (tenth / 10 for tenth in range(11))
    return tuple(zip(shares, (0.0, *medians, 1.0), strict=True))


def overhead_share(step: str, sources: Sequence[Source]) -> Share | None:
    """Return the usual share of a step that handles no records."""
    for source in sources:
        shares = [
            share
            for past in source.imports[:MAX_IMPORTS]
            if (share := _overhead_share(past, step)) is not None
        ]
        if shares:
            return Share(statistics.median(shares), source.basis)
    return None


def _overhead_share(past: PastImport, step: str) -> float | None:
    known = {speed.step: speed.seconds for speed in past.steps if 0 <= speed.seconds < MAX_SECONDS}
    handling = sum(known.get(name, 0.0) for name in STEPS)
    return known[step] / handling if step in known and handling >= 1 else None
