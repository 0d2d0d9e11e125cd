"""Rocket.Chat's rate limit, as its responses announce it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from importmonitor.rocketchat.clock import server_time

#: The length of Rocket.Chat's window, in seconds. One begins with the first request after the last.
WINDOW = 60.0


@dataclass(frozen=True)
class RateLimit:
    """The state of a rate limit, which all clients behind one address share for each endpoint.

    `remaining` of `limit` requests are left in the window, after the one that was just made;
    `resets_in` is the time until the window ends, in seconds.
    """

    limit: int
    remaining: int
    resets_in: float


def parse_rate_limit(headers: Mapping[str, str], received_at: datetime) -> RateLimit | None:
    """Read a response's headers; None without a rate limit, as for users exempt from it."""
    numbers = []
    for name in ("Limit", "Remaining", "Reset"):
        text = headers.get(f"X-RateLimit-{name}", "")
        if not re.fullmatch(r"[0-9]{1,15}", text):
            return None
        numbers.append(int(text))
    limit, remaining, reset = numbers
    if limit < 1:
        return None
    # The reset time is on the server's clock, which may differ from ours.
    now = server_time(headers) or received_at
    resets_in = reset / 1000 - now.timestamp()
    return RateLimit(limit, min(remaining, limit), min(max(resets_in, 0.0), WINDOW))
