"""The figures, each of which must be 0, and their report."""

from collections import Counter
from dataclasses import dataclass, field

from tests.truth.rates import SUBJECTS, Rates

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
STORMS = "messages that no rule allows"
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
    STORMS,
)


@dataclass
class Year:
    """The faults by figure, how often things happened, and how many messages there were."""

    faults: dict[str, list[str]]
    did: Counter[str]
    rates: Rates = field(default_factory=dict)

    def add_rates(self, rates: Rates) -> None:
        """Add the rates of one workspace."""
        for subject, counts in rates.items():
            self.rates.setdefault(subject, Counter()).update(counts)

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
    print(f"\n{'messages of one channel, for each':<40}{'number':>8}{'mean':>8}{'most':>8}")
    for subject in SUBJECTS:
        counts = year.rates.get(subject, Counter())
        messages = sum(number * count for number, count in counts.items())
        mean = messages / max(counts.total(), 1)
        print(f"{subject:<40}{counts.total():>8}{mean:>8.2f}{max(counts, default=0):>8}")
    polls, operations = year.did["polls"], year.did["operations"]
    print(f"\n{polls} polls, {operations} operations, {seconds:.0f} seconds")
