"""Replay recordings and print what they violate: `python -m tests.recordings`."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.recordings import Recording, load_recording, recording_ids
from tests.truth.__main__ import set_up

if TYPE_CHECKING:
    from tests.recordings.judge import Violation
    from tests.recordings.replay import Observation
    from tests.recordings.schedules import Schedule


def main() -> int:
    """Replay recordings, one with its polls or several as a table; return the exit status."""
    set_up()
    # Importable only after Django's setup.
    from django.core.management import call_command
    from django.test.utils import override_settings

    from tests.recordings.replay import CONFIGURATION
    from tests.recordings.schedules import SCHEDULES, every

    parser = argparse.ArgumentParser(
        prog="python -m tests.recordings",
        description="Replay one recording and print every poll, or several and print a table.",
    )
    parser.add_argument("recordings", nargs="*", metavar="RECORDING", help="default: all")
    parser.add_argument(
        "--schedule", choices=SCHEDULES, help="one schedule (default: every-state; of a table: all)"
    )
    parser.add_argument("--every", type=float, metavar="SECONDS", help="poll every so many seconds")
    parser.add_argument("--refuse-list", action="store_true", help="refuse the list of operations")
    options = parser.parse_args()
    schedules = SCHEDULES
    if options.every:
        schedules = {f"every {options.every:g} s": every(options.every)}
    elif options.schedule or len(options.recordings) == 1:
        name = options.schedule or "every-state"
        schedules = {name: SCHEDULES[name]}
    recordings = [load_recording(name) for name in options.recordings or recording_ids()]
    call_command("migrate", verbosity=0)
    with override_settings(IMPORTMONITOR=CONFIGURATION):
        if len(recordings) == 1:
            [schedule] = schedules.values()
            return print_polls(recordings[0], schedule, options.refuse_list)
        return print_table(recordings, schedules, options.refuse_list)


def run(
    recording: Recording, schedule: "Schedule", is_list_refused: bool
) -> tuple[list["Observation"], list["Violation"]]:
    """Replay a recording and forget what was stored."""
    from django.db import transaction

    from tests.recordings.judge import judge
    from tests.recordings.replay import replay
    from tests.recordings.schedules import poll_times

    with transaction.atomic():
        times = poll_times(recording, schedule)
        observations = list(replay(recording, times, is_list_refused=is_list_refused))
        transaction.set_rollback(True)
    return observations, judge(recording, observations, is_list_refused=is_list_refused)


def print_polls(recording: Recording, schedule: "Schedule", is_list_refused: bool) -> int:
    """Print each poll of a recording, without those that changed nothing, and the violations."""
    observations, violations = run(recording, schedule, is_list_refused)
    print(recording.what)
    for remote_id, label in recording.labels.items():
        end = f"{label.ended_from:%H:%M:%S} to {label.ended_at:%H:%M:%S}" if label.ended_at else "-"
        print(f"{remote_id[-6:]}: rule {label.rule}, end {end}, stall {label.stall}")
        print(f"    {label.outcomes}")
        if label.unseen:
            print(f"    unseen: {label.unseen}")
        if label.meanwhile:
            print(f"    meanwhile: {', '.join(label.meanwhile)}")
    last: list[str] = []
    for observation in observations:
        lines = poll_lines(observation)
        if lines != last:
            print(f"{observation.at:%d %H:%M:%S}", *lines, sep="\n    ")
        last = lines
        for message in observation.messages:
            print(f"    >>> {message.title}")
    print(*map(str, violations) if violations else ["Nothing is violated."], sep="\n")
    return 1 if violations else 0


def poll_lines(observation: "Observation") -> list[str]:
    """Return a line for each operation: its document, and its row after the poll."""
    state = observation.state
    lines = []
    for document in state.documents if state else ():
        row = observation.rows.get(document["_id"])
        count = document.get("count", {})
        counters = ", ".join(f"{name} {value}" for name, value in count.items())
        current = "*" if state and document is state.current else " "
        valid = "" if document["valid"] else " INVALID"
        line = f"{current}{document['_id'][-6:]} {document['status']}{valid} ({counters})"
        if row is None:
            lines.append(f"{line} -> no row")
            continue
        stored = f"{row.outcome or 'not over'}, {row.percent} %, {row.count_completed} completed"
        active = "active" if row.is_active else "over"
        finished = f", finished {row.finished_at:%H:%M:%S}" if row.finished_at else ""
        lines.append(f"{line}\n          -> {active}, {stored}{finished}")
    if state and state.note:
        lines.append(f"note: {state.note}")
    return lines


def print_table(
    recordings: Sequence[Recording], schedules: dict[str, "Schedule"], is_list_refused: bool
) -> int:
    """Print the violations by rule and check, and in which recordings they are."""
    violated: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    replays = failed = 0
    for recording in recordings:
        for name, schedule in schedules.items():
            _, violations = run(recording, schedule, is_list_refused)
            replays += 1
            failed += bool(violations)
            for violation in violations:
                kind = violated[violation.rule, violation.check]
                kind.setdefault(recording.id, f"{name}: {violation.text}")
    for (rule, check), examples in sorted(violated.items()):
        print(f"rule {rule}, {check}: {len(examples)} recordings")
        for recording_id, example in examples.items():
            print(f"    {recording_id}: {example}")
    print(f"{replays} replays of {len(recordings)} recordings, {failed} with violations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
