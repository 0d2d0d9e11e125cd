"""All that is measured of speed, in about five minutes: `make bench`.

    python -m benchmarks [--full] [--only GROUP] [--json FILE] [--keep]

With `--full` (`make bench FULL=1`) also what takes long by itself: 100,000 operations written at
once, and a million of them on the pages, exported and pruned. That is some fifteen minutes more.

Every figure is a ratio to something that was measured beside it, by turns, in the same run; what
it costs here tells little of what it costs elsewhere, the ratio does. A ratio that is more than
30 % worse than the committed one (benchmarks/baseline.jsonl), or misses its goal, is measured once
more before it is believed.

POSTGRES_URL and MARIADB_URL name databases in whose servers others can be made.

Exit status: 0 no ratio is worse than the baseline's; 1 one is, or could not be measured.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import benchmarks.endpoint.__main__
import benchmarks.pages.figures
import benchmarks.writing.__main__
from benchmarks import fan_out, peer, polls, startup
from benchmarks.databases import left_out
from benchmarks.figures import (
    BASELINE,
    Baseline,
    Figure,
    has_regressed,
    head,
    read_baseline,
    table_head,
    table_row,
    write,
)
from benchmarks.hosts import BASE_DIR
from benchmarks.processes import CannotMeasure

Groups = dict[str, Callable[[], Iterator[Figure]]]

#: Each measures some figures that belong together.
GROUPS: Groups = {
    "startup": startup.figures,
    "polls": polls.figures,
    "writing": partial(benchmarks.writing.__main__.figures, (20, 1000)),
    "fan-out": fan_out.figures,
    "endpoint": benchmarks.endpoint.__main__.figures,
    "history": partial(benchmarks.pages.figures.figures, (1_000, 100_000)),
    "peer": peer.figures,
}
FULL: Groups = GROUPS | {
    "writing": benchmarks.writing.__main__.figures,
    "history": benchmarks.pages.figures.figures,
}


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed.")
    parser.add_argument("--full", action="store_true", help="measure what takes long too")
    parser.add_argument("--only", choices=GROUPS, help="measure this group alone")
    parser.add_argument(
        "--json",
        type=Path,
        default=BASE_DIR / ".local" / "bench.jsonl",
        metavar="FILE",
        help="where the figures go as lines of JSON (default: .local/bench.jsonl)",
    )
    parser.add_argument(
        "--keep", action="store_true", help=f"make this the baseline ({BASELINE.name})"
    )
    options = parser.parse_args()
    groups = FULL if options.full else GROUPS
    began = time.monotonic()
    print("\n".join([head(), *left_out(), "", table_head()]), flush=True)
    before, found, failed = read_baseline(), list[Figure](), False
    for name in [options.only] if options.only else groups:
        try:
            found += group(name, groups[name], before)
        except (CannotMeasure, OSError) as error:
            print(f"{name} could not be measured: {error}", flush=True)
            failed = True
    write(options.json, found)
    if options.keep:
        write(BASELINE, found)
    worse = [each for each in found if has_regressed(each, before)]
    missed = [each for each in found if each.holds is False]
    print(
        f"\n{len(found)} figures in {time.monotonic() - began:.0f} s, also in {options.json}; "
        f"{len(missed)} miss their goals, {len(worse)} are worse than the baseline"
    )
    return 1 if failed or worse else 0


def group(name: str, measure: Callable[[], Iterator[Figure]], before: Baseline) -> list[Figure]:
    """Measure a group, and print its figures; once more if one is not as it should be."""
    found = []
    for figure in measure():
        found.append(figure)
        print(table_row(figure, before), flush=True)
    if all(each.holds is not False and not has_regressed(each, before) for each in found):
        return found
    print(f"{name}, once more:", flush=True)
    again = {each.key: each for each in measure()}
    better = [min(each, again.get(each.key, each), key=Figure.badness) for each in found]
    for figure in better:
        print(table_row(figure, before), flush=True)
    return better


if __name__ == "__main__":
    sys.exit(main())
