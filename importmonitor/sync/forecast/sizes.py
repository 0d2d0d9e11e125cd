"""How many records the steps of an import have."""

import statistics
from collections.abc import Mapping, Sequence

from importmonitor.sync.forecast.paces import Source
from importmonitor.sync.forecast.types import PresentImport, is_known, position
from importmonitor.sync.rate import Sample
from importmonitor.sync.speeds import (
    CHANNELS,
    CONTACTS,
    FILES,
    MAX_IMPORTS,
    MESSAGES,
    STEPS,
    USERS,
    Span,
)

# With fewer samples, nothing can be said about a growing total.
_MIN_SAMPLES = 5
# Counters are written every 50 records, or every 500 messages.
_STRIDE = 50
_MAX_COUNT = 2**63 - 1


def step_sizes(
    present: PresentImport, sources: Sequence[Source], spans: Sequence[Span]
) -> dict[str, int]:
    """Return the number of records of the steps, those handled included, in the steps' order."""
    counts, status = present.counts, present.status
    kinds = {
        USERS: _natural(counts.users),
        CONTACTS: _natural(counts.contacts),
        CHANNELS: _natural(counts.channels),
        MESSAGES: _natural(counts.messages),
    }
    total = _final_total(present, sum(kinds.values()), sources, spans)
    if status == FILES or not is_known(status):
        # Rocket.Chat counts files as messages. Of an unknown step only the total is known.
        return {status: total} if total else {}
    sizes = {step: size for step, size in kinds.items() if size}
    rest = total - sum(sizes.values())
    if rest > 0:
        # These have no kind: they are of the step that is likely to have them, and is not over.
        step = max(sizes, key=position) if sizes else _largest_step(sources)
        step = max(step, status, key=position) if status in STEPS else step
        sizes[step] = sizes.get(step, 0) + rest
    return dict(sorted(sizes.items(), key=lambda item: position(item[0])))


def records_before(status: str, sizes: Mapping[str, int], base: int) -> int:
    """Return how many records were handled before a step; `base` is those at its first poll.

    That poll was late: the step had handled some. So it is the records of the steps before it,
    where that can be; their users once, or twice as since a 7.x (sheet, section 2).
    """
    before = sum(size for step, size in sizes.items() if position(step) < position(status))
    users = sizes.get(USERS, 0) if status != USERS else 0
    possible = [count for count in (before, before + users) if count < base + _STRIDE]
    return max(possible, default=base)


def _natural(count: int | None) -> int:
    return min(max(count or 0, 0), _MAX_COUNT)


def _largest_step(sources: Sequence[Source]) -> str:
    """Return the step that most records of the newest import were of."""
    for source in sources:
        for past in source.imports[:1]:
            if speeds := [speed for speed in past.steps if speed.step in STEPS]:
                return max(speeds, key=lambda speed: speed.records).step
    return MESSAGES


def _final_total(
    present: PresentImport, kinds: int, sources: Sequence[Source], spans: Sequence[Span]
) -> int:
    """Return the total that the import will have, at least the present one.

    It can grow while an import runs: as it did in the imports before; or else, to be careful, as
    lately, but only until the present rest is handled. `kinds` is the sum of the counts by kind; if
    that is more than the total, these were announced in full.
    """
    total = _natural(present.counts.total)
    if total < kinds or not total:
        return total
    rest = max(total - present.counts.handled, 0)
    usual_growth = _usual_growth(sources)
    if usual_growth <= 1:
        return total + int(rest * _recent_growth(present.samples))
    announced = _natural(spans[0].start.total) if spans and spans[0].is_whole else total
    growth = max(announced * usual_growth - total, 0.0)
    if announced == total:
        # The more is handled without any, the less likely is it: hardly after a half.
        growth *= (rest / total) ** 4
    return total + int(growth)


def _usual_growth(sources: Sequence[Source]) -> float:
    for source in sources:
        growths = [past.growth for past in source.imports[:MAX_IMPORTS] if 1 <= past.growth < 100]
        if growths:
            return statistics.median(growths)
    return 1.0


def _recent_growth(samples: Sequence[Sample]) -> float:
    """Return by how much the total grew lately for a record handled, 0 to 1."""
    known = [sample for sample in samples if sample.total is not None]
    if len(known) < _MIN_SAMPLES:
        return 0.0
    # In the later half, and no more than at the very last: it can have stopped growing.
    return min(_growth(known[len(known) // 2 :]), _growth(known[-(len(known) // 5 + 2) :]))


def _growth(samples: Sequence[Sample]) -> float:
    first, last = samples[0], samples[-1]
    records = last.completed + last.error - first.completed - first.error
    growth = _natural(last.total) - _natural(first.total)
    return min(max(growth / records, 0.0), 1.0) if records > 0 else 0.0
