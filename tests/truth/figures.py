"""The figures, every one of which is to be 0, and their report."""

from collections import Counter
from dataclasses import dataclass

MISSED = "operations missed or made up"
OUTCOMES = "wrong outcomes"
FINISHED_AT = "wrong finished_at"
MOVED = "moved finished_at"
DOUBLE = "double or broken transitions"
TWICE = "events told twice or without cause"
UNTOLD = "events not told"
FALSE_STALLS = "false stalls"
MISSED_STALLS = "stalls missed"
FALSE_INTERRUPTED = "false interrupted"
OVERLAPS = "pollers that wrote out of turn"
FIGURES = (
    MISSED,
    OUTCOMES,
    FINISHED_AT,
    MOVED,
    DOUBLE,
    TWICE,
    UNTOLD,
    FALSE_STALLS,
    MISSED_STALLS,
    FALSE_INTERRUPTED,
    OVERLAPS,
)


@dataclass
class Year:
    """What came out."""

    faults: dict[str, list[str]]
    did: Counter[str]

    @property
    def holds(self) -> bool:
        """Whether every figure is 0."""
        return not any(self.faults.values())


def report(year: Year, seconds: float) -> None:
    """Print what the year was made of, and every figure beside its goal."""
    for what, count in sorted(year.did.items()):
        print(f"{what:<40}{count:>8}")
    print()
    for name, faults in year.faults.items():
        print(
            f"{name:<40}{len(faults):>8}   goal: 0   {'holds' if not faults else 'does NOT hold'}"
        )
        for each in faults[:5]:
            print(f"    {each}")
    print(
        f"\n{year.did['polls']} polls, {year.did['operations']} operations, {seconds:.0f} seconds"
    )
