"""How accurate the forecast of an import is, in simulated imports polled every 30 seconds.

Three worlds: the simulator's, where all records of an import take equally long and imports have
nothing in common but their pace (the forecast may learn nothing wrong from them), or not even that;
and one where a workspace's steps differ in speed and its imports are alike (`stepwise`). In all of
them three imports have finished before the one that is judged, with them and without ("first
import").

The forecast gets what the store keeps. It is compared with the rate alone (what the time left was
before there was a forecast), and with the rule of three since importing began,
`elapsed * (total - completed) / completed`.

    python -m tests.truth.time_left [--imports 40] [--samples newest|spread]

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import sys

from tests.truth.__main__ import set_up


def main() -> int:
    """Measure and print; return the exit status."""
    set_up()
    # Importable only after Django's setup.
    from tests.truth import estimates

    parser = argparse.ArgumentParser(description="Measure how accurate forecasts of imports are.")
    parser.add_argument(
        "--imports", type=int, default=40, help="number of imports of each pace (default: 40)"
    )
    parser.add_argument(
        "--samples",
        choices=("newest", "spread"),
        default="newest",
        help=f"which {estimates.MAX_SAMPLES} of a step the forecast gets (default: newest)",
    )
    parser.add_argument(
        "--moment", action="append", choices=estimates.MOMENTS, help="default: all of them"
    )
    options = parser.parse_args()
    moments = options.moment or estimates.MOMENTS
    missed = []
    for name in estimates.WORLDS:
        missed += estimates.report(name, max(options.imports, 1), options.samples, moments)
    print("goals: " + ("hold" if not missed else "MISSED:\n  " + "\n  ".join(missed)))
    print(f"a forecast takes {estimates.cost() * 1000:.2f} ms")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
