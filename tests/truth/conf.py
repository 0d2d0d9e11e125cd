"""The settings of the monitor."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

#: The same for all imports: exact thresholds, in place of those that fit how an importer counts.
STALLED_AFTER = timedelta(minutes=15)
STALL_THRESHOLDS = dict.fromkeys(
    ("loading", "importing", "pending-avatars", "pending-files"), STALLED_AFTER
)
WAITING_AFTER = timedelta(hours=1)
UNREACHABLE_AFTER = timedelta(minutes=5)
REMIND_EVERY = timedelta(days=1)
DEADLINE = 30.0


#: The channel whose alerts are judged, with the defaults; and one that is reminded each day.
ALL, REMINDED = "all", "reminded"


class RecordingChannel:
    """A channel that keeps the JSON form of each message, and sends nothing. Option: NAME."""

    messages: ClassVar[defaultdict[str, list[Mapping[str, Any]]]] = defaultdict(list)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.name = str(options["NAME"])

    def send(self, message: Any) -> None:
        self.messages[self.name].append(message.body)


def configuration(workspaces: int) -> dict[str, Any]:
    """Return `IMPORTMONITOR` for that many workspaces."""
    credentials = {"USER_ID": "user", "AUTH_TOKEN": "token", "DEADLINE": DEADLINE}
    return {
        "WORKSPACES": {
            alias(number): {"URL": "http://127.0.0.1:9", **credentials}
            for number in range(workspaces)
        },
        "CHANNELS": {ALL: channel(ALL), REMINDED: channel(REMINDED, REMIND_EVERY=REMIND_EVERY)},
        "BASE_URL": "",
        "STALLED_AFTER": STALL_THRESHOLDS,
        "WAITING_AFTER": WAITING_AFTER,
        "UNREACHABLE_AFTER": UNREACHABLE_AFTER,
    }


def channel(name: str, **options: Any) -> dict[str, Any]:
    return {"BACKEND": "tests.truth.conf.RecordingChannel", "NAME": name, **options}


def alias(number: int) -> str:
    return f"year-{number:02}"
