"""Several watches share the workspaces, and one of them is killed."""

import signal
import threading
import time
from collections import defaultdict
from itertools import pairwise

import pytest

from simulator.server import Server
from tests.process.processes import PATIENCE, Project, wait_for
from tests.process.test_many_workspaces import environment, workspaces

COUNT = 40
WATCHES = 3


class Requests:
    """When the requests for each workspace began and ended, in seconds of `time.monotonic`."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self._lock = threading.Lock()

    def note(self, prefix: str, _path: str, requested_at: float, responded_at: float) -> None:
        with self._lock:
            self.times[prefix].append((requested_at, responded_at))

    def wait_for_all(self, times: int = 1) -> None:
        """Wait until every workspace has been polled so often from now on."""
        started, ends_at = time.monotonic(), time.monotonic() + PATIENCE
        while True:
            with self._lock:
                counts = [
                    sum(requested_at > started for requested_at, _ in requests)
                    for requests in self.times.values()
                ]
            if len(counts) == COUNT and min(counts) >= times:
                return
            assert time.monotonic() < ends_at, f"Not polled: {sorted(counts)}"
            time.sleep(0.05)


@pytest.mark.long
def test_watches_share_the_workspaces_of_one_that_is_killed(project: Project) -> None:
    requests = Requests()
    with Server(workspaces(COUNT), latency=0.02, on_response=requests.note) as server:
        deadlines = {f"ROCKETCHAT_W{number}_DEADLINE": "2" for number in range(COUNT)}
        changes = environment(server.url, COUNT) | deadlines
        watch = ("manage.py", "sync_import_status", "--watch", "--interval", "1")
        watches = [project.start(*watch, **changes) for _ in range(WATCHES)]
        requests.wait_for_all(times=3)
        watches[0].kill()
        # Its leases last until the deadline and five seconds more.
        requests.wait_for_all(times=3)
        polls = sum(map(len, requests.times.values()))
        for process in watches[1:]:
            process.send_signal(signal.SIGTERM)
            assert wait_for(process).returncode == 0
    for prefix, times in requests.times.items():
        for (_, responded_at), (requested_at, _) in pairwise(sorted(times)):
            assert requested_at >= responded_at, f"{prefix} was polled twice at once"
    held = "SELECT COUNT(*) FROM importmonitor_workspace WHERE holder <> ''"
    # Those of the killed process have been polled by another since.
    assert project.database.execute(held) == [(0,)]
    assert polls >= 6 * COUNT
