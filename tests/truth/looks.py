"""What there is to be seen at a moment, and what a poll has shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class View:
    """Both answers of a workspace at one moment; `happened` is how long its log was."""

    happened: int
    current: dict[str, Any] | None
    latest: list[dict[str, Any]]


@dataclass(frozen=True)
class Observation:
    """One poll that was counted; `shown` is by id how much of the log had happened by then."""

    began: datetime
    ended: datetime
    good: bool
    shown: Mapping[str, int]
