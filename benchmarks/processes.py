"""Processes: what a whole one takes, and functions that run in another one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).resolve().parent.parent


class CannotMeasure(Exception):
    """A benchmark cannot run here, or a process did not do what it should."""


@dataclass(frozen=True)
class Finished:
    """What a process took, in milliseconds and MiB (`peak`), and what it wrote to stdout."""

    wall: float
    peak: float
    output: str


def run(environment: Mapping[str, str], command: Sequence[str], exit_status: int = 0) -> Finished:
    """Run a command to its end. Raises CannotMeasure if its exit status is another."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        # Popen must know that its process has been waited for.
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text = output.read().decode()
        if process.returncode != exit_status:
            text += errors.read().decode()
            message = f"{' '.join(command[:3])} … exited with {process.returncode}:\n{text}"
            raise CannotMeasure(message)
    # Linux counts in KiB.
    return Finished(wall * 1000, usage.ru_maxrss / 1024, text)


@contextmanager
def child(environment: Mapping[str, str] | None = None) -> Iterator[Callable[..., Any]]:
    """Start a process, and yield a function that calls functions there by their dotted paths.

    Arguments and results are JSON. Raises CannotMeasure if a call fails.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child"],
        cwd=BASE_DIR,
        env=dict(os.environ if environment is None else environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    requests, results = process.stdin, process.stdout

    def call(function: str, *arguments: Any) -> Any:
        requests.write(json.dumps([function, *arguments]) + "\n")
        requests.flush()
        if result := results.readline():
            return json.loads(result)
        raise CannotMeasure(f"{function} failed; its traceback is above.")

    try:
        yield call
    finally:
        process.communicate()
