"""The settings of the monitor."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

#: The same for all imports: exact thresholds, in place of those that fit how an importer counts.
STALLED_AFTER = timedelta(minutes=15)
STALL_THRESHOLDS = dict.fromkeys(
    ("loading", "importing", "pending-avatars", "pending-files"), STALLED_AFTER
)
WAITING_AFTER = timedelta(hours=1)
UNREACHABLE_AFTER = timedelta(minutes=5)
DEADLINE = 30.0


class SilentChannel:
    """A channel that takes every alert and sends nothing."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    def send(self, message: object) -> None:
        pass


def configuration(workspaces: int) -> dict[str, Any]:
    """Return `IMPORTMONITOR` for that many workspaces."""
    credentials = {"USER_ID": "user", "AUTH_TOKEN": "token", "DEADLINE": DEADLINE}
    return {
        "WORKSPACES": {
            alias(number): {"URL": "http://127.0.0.1:9", **credentials}
            for number in range(workspaces)
        },
        "CHANNELS": {"all": {"BACKEND": "tests.truth.conf.SilentChannel"}},
        "BASE_URL": "",
        "STALLED_AFTER": STALL_THRESHOLDS,
        "WAITING_AFTER": WAITING_AFTER,
        "UNREACHABLE_AFTER": UNREACHABLE_AFTER,
    }


def alias(number: int) -> str:
    return f"year-{number:02}"
