"""Whole processes, from fork to exit: what they took."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.hosts import BASE_DIR


class CannotMeasure(Exception):
    """What is to be measured did not do what it should."""


@dataclass(frozen=True)
class Ran:
    """What a process took, and what it wrote to stdout and stderr.

    `wall` and `cpu` are in milliseconds, by the clock and of processors; `peak` is in MiB.
    """

    wall: float
    cpu: float
    peak: float
    out: str
    err: str


def run(environment: Mapping[str, str], command: Sequence[str]) -> Ran:
    """Run a command to its end. Raises CannotMeasure if it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        # It has been waited for, which Popen is to know.
        process.returncode = os.waitstatus_to_exitcode(status)
        written = []
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode())
    if process.returncode:
        told = "".join(written)
        raise CannotMeasure(f"{' '.join(command[:3])} … ended with {process.returncode}:\n{told}")
    cpu = usage.ru_utime + usage.ru_stime
    # Linux counts in KiB.
    return Ran(wall * 1000, cpu * 1000, usage.ru_maxrss / 1024, *written)
