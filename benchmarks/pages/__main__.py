"""Whether the admin's pages stay as fast among a million operations as among a thousand.

    python -m benchmarks.pages [--rows 1000 1000000] [--postgres URL] [--only WORD] [--explain]

For each database two processes are filled, with few operations and with many, and visited by
turns, so that a noisy minute hits both. Visits go through Django's test client, as a superuser.
A list that is longer among many (*) is held against the same list's first page among few, which
is full: half a page of rows takes half the time. What the charts show is as much in both.

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.pages import TWO_FILTERS
from benchmarks.pages.sites import Site, Taken, running, take

#: How much longer a page may take among many, and how many queries it may need.
GOAL = 1.5
QUERIES = 12
#: How many KiB an export may need on top of what the process has.
EXPORT_GOAL = 32 * 1024
#: How many times as often a page that missed a goal is visited once more, before that is believed.
AGAIN = 3
FIRST = "first page"


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pages", description="Measure the admin's pages."
    )
    parser.add_argument("--rows", type=int, nargs=2, default=(1000, 1_000_000), metavar="COUNT")
    parser.add_argument("--times", type=int, default=9, help="visits of a page (default: 9)")
    parser.add_argument("--only", default="", metavar="WORD", help="pages named so, and no others")
    parser.add_argument("--explain", action="store_true", help="show what the slow pages ask for")
    parser.add_argument("--sqlite", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--postgres",
        default=os.environ.get("POSTGRES_URL", ""),
        metavar="URL",
        help="a database in whose server others can be made (default: POSTGRES_URL)",
    )
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    holds = True
    if options.sqlite:
        holds = measure("SQLite", "", options) and holds
    if options.postgres:
        holds = measure("PostgreSQL", options.postgres, options) and holds
    else:
        print("\nPostgreSQL left out: name a server by --postgres or POSTGRES_URL.")
    return 0 if holds else 1


def measure(database: str, server: str, options: argparse.Namespace) -> bool:
    """Print every page's figures on one kind of database; tell whether all goals hold."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sites = [
            stack.enter_context(running(count, server, folder)) for count in sorted(options.rows)
        ]
        few, many = sites
        print(
            f"\n{database}: {few.rows:,} and {many.rows:,} operations (filled in "
            f"{few.seconds:.0f} and {many.seconds:.0f} s); medians of {options.times}\n\n"
            f"{'page':<52}{'ms':>9}{'ms':>9}{'ratio':>8}{'queries':>10}"
        )
        slow = []
        for name, path in few.pages.items():
            # Of rare values, the newest operations among many may offer others than among few.
            if options.only in name and name in many.pages:
                first = few.pages.get(f"{name.partition(': ')[0]}: {FIRST}", path)
                visits = [(few, path), (many, many.pages[name]), (few, first)]
                found = take(visits, options.times)
                if not meets_goals(name, *found):
                    # Of some hundred and fifty pages, a noisy minute hits one or another.
                    found = take(visits, AGAIN * options.times)
                if not judge(name, *found):
                    slow.append(many.pages[name])
        print(
            f"goal: ratio at most {GOAL}, at most {QUERIES} queries, no more among many: "
            f"{f'MISSED by {len(slow)} pages' if slow else 'holds'}"
        )
        exports = options.only in "export" and not compare_exports(few, many)
        if options.explain:
            explain(many, slow)
    return not slow and not exports


def meets_goals(name: str, few: Taken, many: Taken, full: Taken) -> bool:
    """Tell whether the goals hold for a page; `full` is a full page among few."""
    good = few.status == many.status == 200
    fast = ratio_of(few, many, full) <= GOAL or name.startswith(TWO_FILTERS)
    return good and fast and many.queries <= min(few.queries, QUERIES)


def ratio_of(few: Taken, many: Taken, full: Taken) -> float:
    """Return how many times as long a page takes among many."""
    return many.ms / (max(few.ms, full.ms) if many.rows > few.rows else few.ms)


def judge(name: str, few: Taken, many: Taken, full: Taken) -> bool:
    """Print a page's figures; tell whether the goals hold."""
    longer = many.rows > few.rows
    ratio, good = ratio_of(few, many, full), few.status == many.status == 200
    is_fine = meets_goals(name, few, many, full)
    asked = f"{few.queries}" if few.queries == many.queries else f"{few.queries} → {many.queries}"
    answered = "" if good else f"   answers {few.status}, {many.status}"
    print(
        f"{name:<52}{few.ms:>9.1f}{many.ms:>9.1f}{ratio:>8.2f}{'*' if longer else ' '}{asked:>9}"
        f"{answered}{'' if is_fine else '   MISSED'}",
        flush=True,
    )
    return is_fine


def compare_exports(few: Site, many: Site) -> bool:
    """Print what the export of all operations takes; tell whether the goals hold."""
    told = [site.ask("export") for site in (few, many)]
    if any(each["status"] != 200 for each in told):
        print(f"export: answers {', '.join(str(each['status']) for each in told)}   MISSED")
        return False
    per_row = [each["seconds"] / each["rows"] * 1e6 for each in told]
    complete = all(each["rows"] == site.rows for each, site in zip(told, (few, many), strict=True))
    holds = complete and per_row[1] / per_row[0] <= GOAL and told[1]["kib"] <= EXPORT_GOAL
    print(
        f"export: {per_row[0]:.1f} and {per_row[1]:.1f} µs a row (goal: ratio at most {GOAL}), "
        f"{told[1]['kib']:,} KiB of memory (goal: at most {EXPORT_GOAL:,}), "
        f"{'complete' if complete else 'NOT complete'}: {'holds' if holds else 'MISSED'}"
    )
    return holds


def explain(site: Site, paths: list[str]) -> None:
    """Print what takes the time of pages, and how the database goes about it."""
    seen = set()
    for path in paths:
        sql, plan, ms = site.ask("explain", path)
        print(f"\n{path}\n  {ms:.0f} ms: {shortened(sql)}")
        if sql not in seen:
            print("    " + plan.replace("\n", "\n    "))
        seen.add(sql)


def shortened(sql: str) -> str:
    """Return a statement without the list of its columns."""
    columns, found, rest = sql.partition(" FROM ")
    return sql if len(columns) < 100 else f"SELECT …{found}{rest}"


if __name__ == "__main__":
    sys.exit(main())
