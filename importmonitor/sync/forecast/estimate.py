"""The forecast of an import."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from importmonitor.sync.forecast.paces import (
    RATE,
    Pace,
    Source,
    is_usable,
    overhead_share,
    sources_of,
    step_paces,
)
from importmonitor.sync.forecast.sizes import step_sizes
from importmonitor.sync.forecast.slowness import (
    POLL_SECONDS,
    Observation,
    exp,
    poll_noise,
    posterior,
)
from importmonitor.sync.forecast.step import PresentStep
from importmonitor.sync.forecast.types import (
    MAX_SECONDS,
    SELECTION,
    Forecast,
    Part,
    PresentImport,
    position,
)
from importmonitor.sync.speeds import (
    FINISHING,
    STARTED,
    PastImport,
    Span,
    is_importing,
    observed_speeds,
    step_spans,
)

# Between these quantiles of a normal distribution lies 80 %.
_DEVIATIONS = 1.28
# No forecast is surer than this.
_FLOOR = 0.03
# Of the logarithm of a step's time that handles no records, as a share of the import's.
_OVERHEAD_SPREAD = 0.5
# Where `finishing` was never observed: short, but how short may differ much.
_USUAL_FINISHING, _FINISHING_SPREAD = 0.01, 2.0


def forecast(
    present: PresentImport, history: Sequence[PastImport], now: datetime
) -> Forecast | None:
    """Return how long an import will still take, or None if nothing is known about that.

    `history` is finished imports, newest first, of any workspace; those by other importers are
    ignored. The caller decides whether an import is stalled: a forecast knows only of its counters.
    """
    is_running = is_importing(present.status)
    if not is_running and present.status != SELECTION:
        return None
    spans = step_spans(present.transitions) if is_running else []
    if spans and (spans[-1].end is not None or spans[-1].start.status != present.status):
        spans = []
    sources = sources_of(history, present.workspace, present.importer_key)
    parts = list(_steps(present, sources, spans, now))
    if parts or present.status == FINISHING:
        parts += _overheads(present, sources, spans, sum(part.seconds for part in parts), now)
    return _combine(parts)


def _combine(parts: Sequence[Part]) -> Forecast | None:
    """Return the sum of the parts; None if nothing is left, or if it is beyond all reason."""
    seconds = sum(part.seconds for part in parts)
    if not any(part.basis for part in parts) or not 0 < seconds < MAX_SECONDS:
        return None
    common = sum(part.seconds * math.sqrt(part.common) for part in parts)
    own = math.hypot(*(part.seconds * math.sqrt(part.own) for part in parts))
    deviation = math.hypot(common, own, POLL_SECONDS, _FLOOR * seconds) / seconds
    factor = exp(_DEVIATIONS * deviation)
    basis = max(parts, key=lambda part: (bool(part.basis), part.seconds)).basis
    return Forecast(seconds, seconds / factor, min(seconds * factor, MAX_SECONDS), basis)


def _steps(
    present: PresentImport, sources: Sequence[Source], spans: Sequence[Span], now: datetime
) -> Iterator[Part]:
    """Yield what is left of the steps that handle records, the present one first."""
    sizes = step_sizes(present, sources, spans)
    paces = step_paces(sizes, sources)
    if not paces:
        return
    # Of the step with the most work: of the others no more can be known.
    variance = max(paces.values(), key=lambda pace: pace.weight).common
    observations = list(_earlier_steps(present, paces, spans))
    if present.status in sizes:
        step = PresentStep(present, sizes, paces[present.status], spans, now)
        observation = step.observation()
        if observation or observations or step.pace.basis != RATE:
            yield step.part(posterior(variance, observations), observation)
        if observation:
            observations.append(
                Observation(observation.value, observation.variance + step.pace.own)
            )
    common = posterior(variance, observations)
    for name, size in sizes.items():
        pace = paces[name]
        is_left = position(name) > position(present.status)
        if is_left and (observations or pace.basis != RATE):
            seconds = size * pace.seconds * exp(common.value)
            yield Part(seconds, common.variance, pace.own, pace.basis)


def _earlier_steps(
    present: PresentImport, paces: Mapping[str, Pace], spans: Sequence[Span]
) -> Iterator[Observation]:
    """Yield how slow the steps were that the import has behind it."""
    for speed in observed_speeds(spans, present.counts):
        pace = paces.get(speed.step)
        if pace is not None and is_usable(speed):
            value = math.log(speed.seconds / (speed.records * pace.seconds))
            yield Observation(value, pace.own + poll_noise(speed.seconds))


def _overheads(
    present: PresentImport,
    sources: Sequence[Source],
    spans: Sequence[Span],
    left: float,
    now: datetime,
) -> Iterator[Part]:
    """Yield what is left of the steps that handle no records, by their share of the time.

    `left` is the seconds that are left of the other steps.
    """
    elapsed = 0.0
    if spans and present.status in (STARTED, FINISHING):
        elapsed = max((now - spans[-1].start.at).total_seconds(), 0.0)
    total = left
    if spans:
        total += max((now - spans[0].start.at).total_seconds() - elapsed, 0.0)
    for step in (STARTED, FINISHING):
        if step == STARTED and position(present.status) >= 0:
            continue
        share = overhead_share(step, sources)
        if share is not None:
            seconds, spread, basis = total * share.value, _OVERHEAD_SPREAD, share.basis
        elif step == FINISHING:
            seconds, spread, basis = total * _USUAL_FINISHING, _FINISHING_SPREAD, ""
        else:
            continue
        if step == present.status:
            seconds -= elapsed
        yield Part(max(seconds, 0.0), 0.0, spread**2, basis)
