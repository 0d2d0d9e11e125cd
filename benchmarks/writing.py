"""How fast many operations are written at once, compared with an ORM loop and `executemany`.

    python -m benchmarks.writing

Two polls: at the first all operations are new, at the second the status and a counter of each have
changed. Rocket.Chat lists at most 20 operations; 1,000 show how the time grows.
"""

import statistics
import sys
from collections.abc import Iterator

from benchmarks.databases import available
from benchmarks.environments import project_environment
from benchmarks.figures import Figure, at_least, run_benchmark
from benchmarks.processes import child

COUNTS = (20, 1000)
POLL, LOOP, RAW = "a poll", "an update_or_create loop", "executemany"


def figures() -> Iterator[Figure]:
    for database, server in available().items():
        with (
            project_environment({"default": "http://127.0.0.1:9"}, server) as environment,
            child(environment) as call,
        ):
            for count in COUNTS:
                seconds = {
                    name: statistics.median(values)
                    for name, values in call("benchmarks.writers.measure", count).items()
                }
                # Each operation is written twice.
                speed = 2 * count / seconds[POLL]
                name = f"{count:,} operations written at once, {database}"
                goal = at_least(1.5) if count == COUNTS[0] else None
                ratio = seconds[LOOP] / seconds[POLL]
                yield Figure(name, speed, "/s", LOOP, ratio, goal, is_speed=True)
                yield Figure(name, speed, "/s", RAW, seconds[POLL] / seconds[RAW])


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
