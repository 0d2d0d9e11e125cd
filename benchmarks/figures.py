"""Figures: measured values, their ratios to something else, and their goals."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks.processes import CannotMeasure

BASELINE = Path(__file__).with_name("baseline.jsonl")
#: The ratio of a figure without a goal may be this many times as bad as in the baseline.
MAX_REGRESSION = 2

_PACKAGES = ("Django", "djangorestframework", "requests", "psycopg", "mysqlclient", "dlt")

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Goal:
    """A bound of a figure's ratio or value."""

    of: Literal["ratio", "value"]
    limit: Literal["<=", ">="]
    bound: float

    def __str__(self) -> str:
        return f"{self.of} {self.limit} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """A value in its unit, and its ratio to what it is compared with.

    The ratio is how many times as much this takes; with `is_speed`, how many times as fast it is.
    """

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    goal: Goal | None = None
    is_speed: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the figure in the baseline."""
        return self.name, self.against

    @property
    def badness(self) -> float:
        """The ratio, or its reciprocal, so that less is better."""
        return 1 / self.ratio if self.is_speed else self.ratio

    @property
    def meets_goal(self) -> bool:
        if self.goal is None:
            return True
        value = self.ratio if self.goal.of == "ratio" else self.value
        return value <= self.goal.bound if self.goal.limit == "<=" else value >= self.goal.bound

    @property
    def has_regressed(self) -> bool:
        """Whether a figure without a goal is worse than the baseline's, by more than noise."""
        if self.goal:
            return False
        before = baseline().get(self.key, self.ratio)
        return self.badness > MAX_REGRESSION * (1 / before if self.is_speed else before)

    @property
    def holds(self) -> bool:
        return self.meets_goal and not self.has_regressed

    def __str__(self) -> str:
        value = f"{self.value:,.{0 if self.value >= 100 else 2}f} {self.unit}"
        line = f"{self.name:<58}{value:>16}{self.ratio:>8.2f}  {self.against}"
        if self.goal:
            line += f"   {self.goal}: {'holds' if self.meets_goal else 'MISSED'}"
        if self.has_regressed:
            line += f"   WORSE than {baseline()[self.key]:.2f}"
        return line


def at_most(bound: float, of: Literal["ratio", "value"] = "ratio") -> Goal:
    return Goal(of, "<=", bound)


def at_least(bound: float) -> Goal:
    return Goal("ratio", ">=", bound)


def alternate(
    times: int, contenders: Mapping[str, Callable[[], Measured]]
) -> dict[str, list[Measured]]:
    """Measure the contenders alternately, so that noise affects them equally."""
    measured: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(times):
        for name, contender in contenders.items():
            measured[name].append(contender())
    return measured


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios of values that were measured together.

    Raises CannotMeasure if nothing was measured of what they are compared with.
    """
    if not others or not all(others):
        raise CannotMeasure("Nothing was measured to compare with.")
    return statistics.median(a / b for a, b in zip(values, others, strict=True))


def run_benchmark(benchmark: Callable[[], Iterable[Figure]]) -> int:
    """Measure and print one benchmark; return the exit status: 0 if every figure holds, else 1."""
    print(header())
    return 0 if all(figure.holds for figure in measure(benchmark)) else 1


def measure(benchmark: Callable[[], Iterable[Figure]]) -> list[Figure]:
    """Measure and print a benchmark; if a figure does not hold, again, and keep the better ones."""
    figures = _measure_and_print(benchmark)
    if all(figure.holds for figure in figures):
        return figures
    print("Measured once more:", flush=True)
    again = {figure.key: figure for figure in _measure_and_print(benchmark)}
    return [
        min(figure, again.get(figure.key, figure), key=lambda one: (not one.holds, one.badness))
        for figure in figures
    ]


def _measure_and_print(benchmark: Callable[[], Iterable[Figure]]) -> list[Figure]:
    figures = []
    for figure in benchmark():
        print(figure, flush=True)
        figures.append(figure)
    return figures


def header() -> str:
    """Return the machine, the versions, and the head of the table."""
    versions = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"{machine}\n{', '.join(versions)}\n\n{'':<58}{'':>16}{'ratio':>8}  against"


@cache
def baseline() -> Mapping[tuple[str, str], float]:
    """Return the committed ratios by the figures' keys."""
    rows = map(json.loads, BASELINE.read_text().splitlines())
    return {(row["name"], row["against"]): row["ratio"] for row in rows}


def write(path: Path, figures: Iterable[Figure]) -> None:
    """Write figures as lines of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(_to_json(figure))}\n" for figure in figures))


def _to_json(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "value": round(figure.value, 4),
        "unit": figure.unit,
        "against": figure.against,
        "ratio": round(figure.ratio, 3),
        "goal": str(figure.goal or ""),
        "holds": figure.meets_goal if figure.goal else None,
    }
