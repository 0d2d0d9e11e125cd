"""Bare GETs by a pool of threads, which polls are compared with; called in another process."""

import threading
import time
from itertools import count

import requests

from benchmarks.environments import TOKEN, USER_ID


def measure(url: str, size: int, threads: int, seconds: float) -> dict[str, float]:
    """GET the current operations of a fleet, one after the other in each of the threads.

    Return the number of GETs in a second, and the milliseconds of CPU of one.
    """
    numbers = count()
    ends_at = time.monotonic() + seconds
    done = [0] * threads

    def work(thread: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update({"X-User-Id": USER_ID, "X-Auth-Token": TOKEN})
            while time.monotonic() < ends_at:
                path = f"/w{next(numbers) % size}/api/v1/getCurrentImportOperation"
                if not session.get(url + path, timeout=30).json()["success"]:
                    raise RuntimeError(path)
                done[thread] += 1

    started, cpu = time.monotonic(), time.process_time()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    total = sum(done)
    return {
        "per_second": total / (time.monotonic() - started),
        "cpu_ms": (time.process_time() - cpu) / max(total, 1) * 1000,
    }
