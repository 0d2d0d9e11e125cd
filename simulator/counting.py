"""How Rocket.Chat counts the records of an import, and when it writes the counters."""

import math

from simulator.eras import Era
from simulator.kinds import Kind


class Tally:
    """An importer's counters in memory, which it writes at every 50th or 500th record.

    Args:
        kind: the importer.
        era: the version of Rocket.Chat.
        total: the records announced. 0 if it has none in memory: then every record is written.
            Infinite if it is not a number: then it is never reached.
    """

    def __init__(self, kind: Kind, era: Era, total: float) -> None:
        self.kind = kind
        self.era = era
        self.total = total
        self.completed = 0
        self.error = 0

    def count(self) -> dict[str, int]:
        """Return the counters as they are written."""
        if self.era.is_before(Era.V6_14):
            return {"completed": self.completed}
        return {"completed": self.completed, "error": self.error}

    def records_to_next_write(self, part: str) -> int:
        """Return how many more records of a type are counted until a write is due, at least 1."""
        counted = self.completed + self.error
        missing = self.total - counted
        if missing <= 0:
            return 1
        stride = _stride(self.era, part)
        until_stride = stride - counted % stride
        return until_stride if math.isinf(missing) else min(until_stride, int(missing))

    def add(self, part: str, attempted: int, failed: int) -> bool:
        """Count records; return whether the counters are written now."""
        completed, error = attempted - failed, failed
        if not self._counts_errors(part):
            # In 5.x a failed record is counted nowhere, and later as completed.
            completed, error = completed + (0 if self.era is Era.V5 else failed), 0
        return self._add(part, completed, error)

    def add_users_again(self, attempted: int) -> bool:
        """Count all users once more at the end of their step; return whether that is written."""
        is_counted_again = self.era.has_contacts and self.kind.counts_users_twice
        return is_counted_again and self._add("users", attempted, 0)

    def _counts_errors(self, part: str) -> bool:
        if self.era.is_before(Era.V6_14):
            return False
        if self.kind.key == "api":
            return True
        return self.era.has_contacts and (part == "users" or self.kind.key == "pending-files")

    def _add(self, part: str, completed: int, error: int) -> bool:
        counted = self.completed + self.error
        self.completed += completed
        self.error += error
        stride = _stride(self.era, part)
        after = self.completed + self.error
        return after >= self.total or after // stride > counted // stride


def _stride(era: Era, part: str) -> int:
    if era.is_before(Era.V6_14):
        return 500
    if era.has_contacts:
        return 500 if part == "messages" else 50
    return 50 if part in ("users", "channels") else 500
