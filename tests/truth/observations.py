"""What a poll observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Observation:
    """One poll that counted.

    `shown` is, by id, the length of the log that it showed; `current_id` the operation that
    Rocket.Chat called current; `list_failed` whether the list was requested in vain.
    """

    began: datetime
    ended: datetime
    good: bool
    shown: Mapping[str, int]
    current_id: str | None
    list_failed: bool
