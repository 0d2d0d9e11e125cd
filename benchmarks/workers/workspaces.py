"""The workspaces, in a process of their own, which sees who asks what and when."""

import json
import sys
import threading
from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

from benchmarks.hosts import running_workspaces
from simulator.server import Server

_POLL = "/api/v1/getCurrentImportOperation"


class Call(NamedTuple):
    """A call that was answered: its path, and when it was asked and answered (monotonic, s)."""

    path: str
    asked_at: float
    answered_at: float


class Seen:
    """What was asked of each workspace, by its prefix."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, list[Call]] = defaultdict(list)
        self._lock = threading.Lock()

    def note(self, prefix: str, path: str, asked_at: float, answered_at: float) -> None:
        with self._lock:
            self._calls[prefix].append(Call(path, asked_at, answered_at))

    def told(self) -> dict[str, list[float]]:
        """Return when each workspace was polled, and under "at once" when one was twice."""
        with self._lock:
            calls = {
                prefix: sorted(each, key=lambda one: one.asked_at)
                for prefix, each in self._calls.items()
            }
        found = {
            prefix: [call.asked_at for call in each if call.path == _POLL]
            for prefix, each in calls.items()
        }
        found["at once"] = [
            later.asked_at
            for each in calls.values()
            for earlier, later in pairwise(each)
            if later.asked_at < earlier.answered_at
        ]
        return found


def serve(count: int, latency: float) -> None:
    """Serve so many until stdin ends; for each line of it, write what has been seen."""
    seen = Seen()
    with Server(running_workspaces(count), latency=latency, on_response=seen.note) as server:
        print(server.url, flush=True)
        for _line in sys.stdin:
            print(json.dumps(seen.told()), flush=True)
