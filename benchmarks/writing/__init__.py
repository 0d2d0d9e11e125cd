"""How fast many operations are written at once: `python -m benchmarks.writing`."""

OURS, LOOP, RAW = "ours", "an update_or_create loop", "executemany"
