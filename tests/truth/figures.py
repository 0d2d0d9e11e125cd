"""The figures, each of which must be 0, and their report."""

from collections import Counter
from dataclasses import dataclass

MISSED = "operations missed or invented"
OUTCOMES = "wrong outcomes"
STARTED_AT = "wrong started_at"
FINISHED_AT = "wrong finished_at"
MOVED = "changed finished_at"
GONE = "wrong gone_at"
PERCENT = "100 % before the end"
LATE = "ends that were not followed"
DOUBLE = "duplicate or broken transitions"
UNFOUNDED = "duplicate or unfounded alerts"
MISSED_ALERTS = "missed alerts"
FALSE_STALLS = "false stalls"
MISSED_STALLS = "missed stalls"
FALSE_INTERRUPTED = "false interruptions"
OVERLAPS = "writes without the lease"
FIGURES = (
    MISSED,
    OUTCOMES,
    STARTED_AT,
    FINISHED_AT,
    MOVED,
    GONE,
    PERCENT,
    LATE,
    DOUBLE,
    UNFOUNDED,
    MISSED_ALERTS,
    FALSE_STALLS,
    MISSED_STALLS,
    FALSE_INTERRUPTED,
    OVERLAPS,
)


@dataclass
class Year:
    """The faults by figure, and how often things happened."""

    faults: dict[str, list[str]]
    did: Counter[str]

    @property
    def holds(self) -> bool:
        return not any(self.faults.values())


def report(year: Year, seconds: float) -> None:
    """Print what happened, and every figure with its goal."""
    for name, count in sorted(year.did.items()):
        print(f"{name:<40}{count:>8}")
    print()
    for name, faults in year.faults.items():
        verdict = "MISSED" if faults else "holds"
        print(f"{name:<40}{len(faults):>8}   goal: 0   {verdict}")
        for fault in faults[:5]:
            print(f"    {fault}")
    polls, operations = year.did["polls"], year.did["operations"]
    print(f"\n{polls} polls, {operations} operations, {seconds:.0f} seconds")
