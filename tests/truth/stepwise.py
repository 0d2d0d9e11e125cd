"""Imports of a workspace whose steps differ in speed, alike from import to import.

The simulator's imports handle all records equally fast. Rocket.Chat takes several times as long for
a user as for a message, and every server has a speed of its own.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from importmonitor.sync.speeds import Counts
from simulator.writes import Pace

KINDS = ("csv", "slack", "slack-users")
STRIDES = {"users": 50, "channels": 50, "messages": 500}
# How much of an import's duration is left to chance, beside its size, step by step.
JITTER = 0.13


@dataclass(frozen=True)
class Write:
    """A write of Rocket.Chat to the operation."""

    at: datetime
    status: str
    counts: Counts


def log_uniform(rng: random.Random, minimum: float, maximum: float) -> float:
    """Return a random number of any magnitude: 1 to 10 is as likely as 10 to 100."""
    return math.exp(rng.uniform(math.log(minimum), math.log(maximum)))


@dataclass
class Server:
    """A workspace: the importer it uses, its usual size of import, and its speeds."""

    rng: random.Random
    kind: str = field(init=False)
    records: float = field(init=False)
    seconds: dict[str, float] = field(init=False)
    counts_users_twice: bool = field(init=False)

    def __post_init__(self) -> None:
        rng = self.rng
        self.kind = rng.choice(KINDS)
        self.records = log_uniform(rng, 2_000, 100_000)
        self.counts_users_twice = rng.random() < 0.5
        self.users_share = rng.uniform(0.02, 0.3) if self.kind != "slack-users" else 1.0
        self.seconds = {
            "users": rng.uniform(3, 10),
            "channels": rng.uniform(0.5, 3),
            "messages": 1.0,
        }
        sizes = self.sizes(1.0)
        usual = sum(size * self.seconds[kind] for kind, size in sizes.items())
        scale = log_uniform(rng, 10 * 60, 9 * 3600) / usual
        self.seconds = {kind: seconds * scale for kind, seconds in self.seconds.items()}

    def sizes(self, factor: float) -> dict[str, int]:
        """Return the number of records by kind of an import of this size."""
        records = self.records * factor
        if self.kind == "slack-users":
            return {"users": max(round(records), 50)}
        users, channels = records * self.users_share, records * 0.02
        sizes = {"users": users, "channels": channels, "messages": records - users - channels}
        return {kind: max(round(size), 1) for kind, size in sizes.items()}

    def run(self, start: datetime, pace: Pace) -> list[Write]:
        """Import something at `start`; return all writes."""
        sizes = self.sizes(log_uniform(self.rng, 0.5, 2))
        now, writes = start, []
        for wait, status, counts in self._writes(sizes, pace):
            now += timedelta(seconds=wait)
            writes.append(Write(now, status, counts))
        return writes

    def _writes(self, sizes: dict[str, int], pace: Pace) -> Iterator[tuple[float, str, Counts]]:
        rng, records = self.rng, sum(sizes.values())
        yield 0.0, "importer_new", Counts()
        counts = self._announced(sizes, pace, 0.0)
        yield 30.0, "importer_preparing_started", Counts()
        yield 60.0, "importer_user_selection", counts
        yield rng.uniform(60, 1200), "importer_importing_started", counts
        yield rng.uniform(1, 60), "importer_importing_users", counts
        attempted = completed = error = 0
        for kind, size in sizes.items():
            status = f"importer_importing_{kind}"
            if kind != "users":
                yield 0.1, status, counts
            seconds = self.seconds[kind] * math.exp(rng.gauss(0, JITTER))
            stride = STRIDES[kind]
            for number, stop in enumerate([*range(stride, size, stride), size]):
                batch = stop - number * stride
                attempted += batch
                completed += batch
                if kind == "users" and rng.random() < 0.1:
                    completed, error = completed - 1, error + 1
                fraction = attempted / records
                counts = self._announced(sizes, pace, fraction)
                counts = counts._replace(completed=completed, error=error)
                yield batch * seconds * slowness(pace, fraction, number, rng), status, counts
            if kind == "users" and self.counts_users_twice:
                completed += size
                counts = counts._replace(completed=completed)
                yield 0.5, status, counts
        taken = sum(size * self.seconds[kind] for kind, size in sizes.items())
        yield 0.1, "importer_finishing", counts
        yield taken * rng.uniform(0.005, 0.03), "importer_done", counts

    def _announced(self, sizes: dict[str, int], pace: Pace, fraction: float) -> Counts:
        """Return the counters of the file, when a fraction of its records is done."""
        share = min(1.0, 0.6 + 0.5 * fraction) if pace == "growing" else 1.0
        last = list(sizes)[-1]
        total = math.ceil(sum(sizes.values()) * share)
        rest = max(total - sum(size for kind, size in sizes.items() if kind != last), 0)
        return Counts(total=total, **{**sizes, last: rest})


def slowness(pace: Pace, fraction: float, number: int, rng: random.Random) -> float:
    """Return how much longer than usual a batch takes."""
    jitter = rng.uniform(0.9, 1.1)
    if pace == "slowing":
        return jitter * (1 + 4 * fraction)
    if pace == "bursty":
        return jitter * (9.0 if number % 10 == 0 else 0.1)
    return jitter
