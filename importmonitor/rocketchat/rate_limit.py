"""What is left of Rocket.Chat's budget of calls, as its answers announce it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

#: Rocket.Chat's window, in seconds: it begins with the first call after the last one's end.
WINDOW = 60.0


@dataclass(frozen=True)
class RateLimit:
    """So many calls of one endpoint in a window, shared by all behind one address.

    `remaining` are left of `limit`, the one that was answered already taken off; `resets_in` is
    the time until the window's end, in seconds.
    """

    limit: int
    remaining: int
    resets_in: float


def parse_rate_limit(headers: Mapping[str, str], received_at: datetime) -> RateLimit | None:
    """Read an answer's headers; None where nothing is announced, as to those who are exempt."""
    numbers = []
    for name in ("Limit", "Remaining", "Reset"):
        text = headers.get(f"X-RateLimit-{name}", "")
        if not re.fullmatch(r"[0-9]{1,15}", text):
            return None
        numbers.append(int(text))
    limit, remaining, reset = numbers
    if limit < 1:
        return None
    # By the server's own clock, where it tells the time: its clock and ours may differ.
    try:
        now = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        now = received_at
    resets_in = reset / 1000 - now.timestamp()
    return RateLimit(limit, min(remaining, limit), min(max(resets_in, 0.0), WINDOW))
