"""What a workspace shows at a moment, and what a poll observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class View:
    """Both responses of a workspace at one moment; `happened` is the length of its log then."""

    happened: int
    current: dict[str, Any] | None
    latest: list[dict[str, Any]]


@dataclass(frozen=True)
class Observation:
    """One poll that counted; `shown` is, by id, the length of the log that it showed."""

    began: datetime
    ended: datetime
    good: bool
    shown: Mapping[str, int]
