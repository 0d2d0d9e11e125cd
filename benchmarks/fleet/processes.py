"""The processes of the benchmark: the simulated fleet, and watches over it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.environments import TOKEN, USER_ID
from benchmarks.processes import BASE_DIR, CannotMeasure

LATENCY = 0.1
#: The share of workspaces with an active import, and the duration of one in seconds.
ACTIVE, SECONDS = 0.02, 600.0

_POLL = "getCurrentImportOperation"
_TICKS = os.sysconf("SC_CLK_TCK")


class Request(NamedTuple):
    """A request to the fleet; its times are Unix times."""

    started: float
    ended: float
    number: int
    endpoint: str
    status: int

    @property
    def is_poll(self) -> bool:
        """Whether it is a poll, and not what a poll needs besides."""
        return self.endpoint == _POLL


@dataclass(frozen=True)
class Server:
    """A running fleet."""

    url: str
    size: int
    log: Path

    def environment(self) -> dict[str, str]:
        """Return the variables that configure its workspaces (`benchmarks.settings`)."""
        return {
            "FLEET_URL": self.url,
            "FLEET_SIZE": str(self.size),
            "FLEET_USER_ID": USER_ID,
            "FLEET_AUTH_TOKEN": TOKEN,
        }

    def requests(self) -> list[Request]:
        """Return all requests that have ended, in the order of their ends."""
        # The last line may still be written.
        lines = self.log.read_text().rpartition("\n")[0].splitlines()
        fields = map(str.split, lines)
        return [Request(float(a), float(b), int(c), d, int(e)) for a, b, c, d, e in fields]

    def polls(self) -> list[Request]:
        """Return those that are polls."""
        return [request for request in self.requests() if request.is_poll]

    def count_polls(self) -> int:
        """Return the number of polls, quicker than by `polls`."""
        return self.log.read_bytes().count(f" {_POLL} ".encode())

    def wait_for_polls(self, count: int, seconds: float) -> None:
        """Wait for that many polls. Raises CannotMeasure if that takes longer."""
        ends_at = time.monotonic() + seconds
        while (polls := self.count_polls()) < count:
            if time.monotonic() > ends_at:
                raise CannotMeasure(f"only {polls} of {count} polls in {seconds:.0f} s")
            time.sleep(0.1)


@contextmanager
def served(size: int, *, active: float = ACTIVE, latency: float = LATENCY) -> Iterator[Server]:
    """Serve a fleet with this share of active imports, and seconds of latency."""
    with TemporaryDirectory() as folder:
        log = Path(folder, "requests.log")
        options = ["--workspaces", str(size), "--port", "0", "--log", str(log)]
        options += ["--user-id", USER_ID, "--token", TOKEN]
        options += ["--active", str(active), "--seconds", str(SECONDS)]
        options += ["--latency", str(1000 * latency)]
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *options],
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield Server(process.stdout.readline().strip().partition("=")[2], size, log)
        finally:
            process.terminate()
            process.communicate()


@dataclass
class Watch:
    """A process of `sync_import_status --watch`."""

    process: "subprocess.Popen[bytes]"
    errors: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> float:
        """Return the seconds of CPU of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def main_thread_cpu(self) -> float:
        """Return the seconds of CPU of the thread that schedules the polls of the others."""
        [nanoseconds, *_] = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()
        return int(nanoseconds) / 1e9

    def peak(self) -> float:
        """Return the peak of its memory in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise CannotMeasure(f"The watch has ended: {self.last_errors()}")

    def last_errors(self) -> str:
        """Return the end of what it wrote to stderr."""
        return self.errors.read_text()[-2000:]

    def stop(self) -> None:
        """End it as Ctrl-C does. Raises CannotMeasure if it does not end so."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            raise CannotMeasure("The watch does not end on SIGTERM.") from None
        if status:
            raise CannotMeasure(f"The watch ended with {status}: {self.last_errors()}")


@contextmanager
def watching(environment: Mapping[str, str], interval: float, folder: Path) -> Iterator[Watch]:
    """Watch all workspaces, polling each at this interval in seconds."""
    options = ["--watch", "--interval", str(interval), "--idle-interval", str(interval)]
    errors = folder / f"watch-{time.monotonic_ns()}.err"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "sync_import_status", *options, "--verbosity", "0"],
            cwd=BASE_DIR,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield Watch(process, errors)
    finally:
        process.kill()
        process.wait()


def lateness(
    polls: list[Request], due: Mapping[int, float], interval: float
) -> list[tuple[Request, float]]:
    """Return polls with the seconds by which each was late.

    `due` has the times of the first polls by the workspaces' numbers; the next one is due an
    interval after the end of the one before.
    """
    next_due = dict(due)
    judged = []
    for poll in sorted(polls):
        judged.append((poll, max(0.0, poll.started - next_due[poll.number])))
        next_due[poll.number] = poll.ended + interval
    return judged


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def count_overlaps(requests: list[Request]) -> int:
    """Return how many requests began while another to the same workspace had not ended."""
    ends: dict[int, float] = {}
    overlaps = 0
    for request in sorted(requests):
        overlaps += request.started < ends.get(request.number, 0.0)
        ends[request.number] = max(request.ended, ends.get(request.number, 0.0))
    return overlaps
