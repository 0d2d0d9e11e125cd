"""Figures: what was measured, what it is held against, and how it compares with last time."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeVar

BASELINE = Path(__file__).with_name("baseline.jsonl")
#: By how much a ratio may be worse than the baseline's.
REGRESSION = 1.3

Measured = TypeVar("Measured")
#: Ratios by figures' keys.
Baseline = Mapping[tuple[str, str], float]

_PACKAGES = ("Django", "djangorestframework", "requests", "psycopg", "mysqlclient", "dlt")


@dataclass(frozen=True)
class Goal:
    """What a figure should be: its ratio or its value, at most or at least so much."""

    of: Literal["ratio", "value"]
    limit: Literal["<=", ">="]
    bound: float

    def __str__(self) -> str:
        return f"{self.of} {self.limit} {self.bound:g}"

    def holds(self, figure: "Figure") -> bool:
        """Tell whether a figure is as it should be."""
        got = figure.ratio if self.of == "ratio" else figure.value
        return got <= self.bound if self.limit == "<=" else got >= self.bound


@dataclass(frozen=True)
class Figure:
    """A value in its unit, and its ratio to what was measured beside it in the same run.

    `ratio` is how many times as much this takes as `against` does; where `is_speed`, how many times
    as fast it is.
    """

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    goal: Goal | None = None
    is_speed: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether it is as it should be; None without a goal."""
        return self.goal.holds(self) if self.goal else None

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by from run to run."""
        return self.name, self.against

    def badness(self) -> float:
        """Return what is the less, the better it went."""
        return -self.ratio if self.is_speed else self.ratio

    def told(self) -> dict[str, Any]:
        """Return it as a line of JSON has it."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "against": self.against,
            "ratio": round(self.ratio, 3),
            "goal": str(self.goal or ""),
            "holds": self.holds,
        }


def at_most(bound: float, of: Literal["ratio", "value"] = "ratio") -> Goal:
    return Goal(of, "<=", bound)


def at_least(bound: float) -> Goal:
    return Goal("ratio", ">=", bound)


def by_turns(
    times: int, contenders: Mapping[str, Callable[[], Measured]]
) -> dict[str, list[Measured]]:
    """Measure each contender in turn, so often; return what each measured, by its name.

    A noisy minute hits all of them alike.
    """
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(times):
        for name, measure in contenders.items():
            found[name].append(measure())
    return found


def median_ratio(some: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios, turn by turn."""
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


def head() -> str:
    """Return the machine and the versions, in two lines."""
    packages = []
    for package in _PACKAGES:
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"{platform.system()} {platform.release()}, {_processor()}, {os.cpu_count()} processors\n"
        f"Python {platform.python_version()}, {', '.join(packages)}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0]}" if names else platform.machine()


def table_head() -> str:
    return f"{'':<58}{'':>14}{'ratio':>8}  against"


def table_row(figure: Figure, before: Baseline) -> str:
    """Return a figure as a row of the table."""
    goal = f"   {figure.goal}: {'holds' if figure.holds else 'MISSED'}" if figure.goal else ""
    worse = f"   WORSE than {before[figure.key]:.2f}" if has_regressed(figure, before) else ""
    value = f"{figure.value:,.{0 if figure.value >= 100 else 2}f} {figure.unit}"
    return f"{figure.name:<58}{value:>14}{figure.ratio:>8.2f}  {figure.against}{goal}{worse}"


def has_regressed(figure: Figure, before: Baseline) -> bool:
    """Tell whether a figure's ratio is worse than the baseline's by more than chance."""
    if figure.key not in before:
        return False
    if figure.is_speed:
        return figure.ratio < before[figure.key] / REGRESSION
    return figure.ratio > before[figure.key] * REGRESSION


def read_baseline() -> Baseline:
    """Return the baseline's ratios by the figures' keys."""
    if not BASELINE.exists():
        return {}
    lines = map(json.loads, BASELINE.read_text().splitlines())
    return {(each["name"], each["against"]): each["ratio"] for each in lines}


def write(path: Path, figures: Iterable[Figure]) -> None:
    """Write figures as lines of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(each.told())}\n" for each in figures))


def print_all(figures: Iterable[Figure]) -> int:
    """Print figures as they come; return 0 if all goals hold, else 1."""
    print(f"{head()}\n\n{table_head()}")
    holds = True
    for figure in figures:
        print(table_row(figure, {}), flush=True)
        holds &= figure.holds is not False
    return 0 if holds else 1
