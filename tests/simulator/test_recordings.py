"""The simulator does what Rocket.Chat's own importers were recorded to do.

The recordings are in `tests/recordings`; each scenario repeats what was done in one of them. What
is compared is the sequence of steps with `valid`, the counters of each, what was really imported,
and the list's operations. Times are not: the recordings' were stretched.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from simulator.clock import Clock
from simulator.eras import Era
from simulator.log import LogEntry
from simulator.workspace import Workspace

RECORDINGS = Path(__file__).parents[1] / "recordings"
ERAS = {"6.2-like": Era.V6_2, "6.14": Era.V6_14, "8.x reconstruction": Era.V8}

State = tuple[str, bool, tuple[tuple[str, str], ...]]
#: What happens to an import: called with the workspace and the import's id.
Act = Callable[[Workspace, str], object]


@dataclass(frozen=True)
class Scenario:
    """What is repeated of a recording.

    Attributes:
        records: the records of the first import, by type.
        act: what was done to it, if anything.
        when: the state in which it was done: step, `completed` and `error` last written.
        chosen: what was chosen of the records.
    """

    records: Mapping[str, int]
    act: Act | None = None
    when: tuple[str, int | None] = ("", None)
    chosen: Mapping[str, int] | None = None


def clear(workspace: Workspace, _operation_id: str) -> None:
    workspace.clear()


def start_other(workspace: Workspace, _operation_id: str) -> None:
    workspace.start_instance()


def kill(workspace: Workspace, _operation_id: str) -> None:
    workspace.restart()


def start_new(kind: str) -> Act:
    return lambda workspace, _operation_id: workspace.start_import(kind, "instant")


FUZZED = {"users": 110, "channels": 2, "messages": 90}
LARGE = {"users": 20, "channels": 2, "messages": 2600}
SELECTION = "importer_user_selection"
USERS = "importer_importing_users"
CHANNELS = "importer_importing_channels"
MESSAGES = "importer_importing_messages"
FILES = "importer_importing_files"
DONE = "importer_done"

SCENARIOS: dict[str, Scenario] = {
    # Counting.
    "6.14-csv-all": Scenario({"users": 120, "channels": 4, "messages": 1200}),
    "6.14-csv-deselect-70-of-120": Scenario(
        {"users": 120, "channels": 4}, chosen={"users": 70, "channels": 4}
    ),
    "8-choose-115-of-300": Scenario(
        {"users": 300, "channels": 3}, chosen={"users": 115, "channels": 3}
    ),
    "8-deselect-half-of-400": Scenario(
        {"users": 400, "channels": 2, "messages": 100},
        chosen={"users": 200, "channels": 2, "messages": 100},
    ),
    "8-csv-no-messages-selected-half": Scenario(
        {"users": 80, "channels": 4}, chosen={"users": 30, "channels": 4}
    ),
    "8-slack-users": Scenario({"users": 30}),
    "8-slack-zip": Scenario({"users": 12, "channels": 2, "messages": 80}),
    "8-api-users": Scenario({"users": 180}),
    "8-avatars-135": Scenario({"files": 135}),
    "8-avatars-420-slow": Scenario({"files": 420}),
    "8-avatars-none": Scenario({"files": 0}),
    "8-files-none": Scenario({"files": 0}),
    "8-files-25-slow": Scenario({"files": 25}),
    "8-files-7-slow-last": Scenario({"files": 7}),
    "6.14-avatars-420-slow": Scenario({"files": 420}),
    "6.14-files-25-slow": Scenario({"files": 25}),
    "6.14-files-60-slow": Scenario({"files": 60}),
    "6.2-avatars-135": Scenario({"files": 135}),
    "6.2-csv-all": Scenario({"channels": 4}),
    # Aborted.
    "8-csv-clear-in-users": Scenario(
        {"users": 200, "channels": 2, "messages": 300}, clear, (CHANNELS, 400)
    ),
    "8-clear-small-in-messages": Scenario(
        {"users": 30, "channels": 2, "messages": 300}, clear, (MESSAGES, 60)
    ),
    "8-csv-second-instance-starts-in-messages": Scenario(LARGE, start_other, (MESSAGES, 500)),
    "8-csv-superseded-early-by-upload": Scenario(
        {"users": 200, "channels": 2, "messages": 300}, start_new("csv"), (CHANNELS, 400)
    ),
    "8-fuzz-clear-15": Scenario(FUZZED, clear, (CHANNELS, 220)),
    "8-fuzz-clear-23": Scenario(FUZZED, clear, (MESSAGES, 222)),
    "8-fuzz-clear-27": Scenario(FUZZED, clear, (MESSAGES, 225)),
    "8-fuzz-newop-15": Scenario(FUZZED, start_new("api"), (CHANNELS, 220)),
    "8-fuzz-newop-23": Scenario(FUZZED, start_new("api"), (MESSAGES, 222)),
    "8-fuzz-newop-27": Scenario(FUZZED, start_new("api"), (MESSAGES, 225)),
    "8-fuzz-other-15": Scenario(FUZZED, start_other, (CHANNELS, 220)),
    "8-fuzz-other-23": Scenario(FUZZED, start_other, (MESSAGES, 222)),
    "8-fuzz-other-27": Scenario(FUZZED, start_other, (MESSAGES, 225)),
    "6.14-csv-clear-in-messages": Scenario(LARGE, clear, (MESSAGES, 500)),
    "6.14-csv-superseded-by-avatars": Scenario(
        LARGE, start_new("pending-avatars"), (MESSAGES, 500)
    ),
    "6.14-csv-second-instance-starts-late": Scenario(
        {"users": 20, "channels": 2, "messages": 450}, start_other, (MESSAGES, None)
    ),
    "6.14-many-users-other-instance-in-messages": Scenario(
        {"users": 600, "channels": 2, "messages": 590}, start_other, (MESSAGES, 600)
    ),
    "6.14-clear-small-users": Scenario(
        {"users": 60, "channels": 2, "messages": 50}, clear, (USERS, 50)
    ),
    "6.14-fuzz-clear-15": Scenario(FUZZED, clear, (CHANNELS, 100)),
    "6.14-fuzz-newop-15": Scenario(FUZZED, start_new("api"), (CHANNELS, 100)),
    "6.14-fuzz-other-15": Scenario(FUZZED, start_other, (CHANNELS, 100)),
    "6.14-api-cleared": Scenario({"users": 400}, clear, (USERS, 100)),
    # Invalid, and at work.
    "8-avatars-other-260": Scenario({"files": 260}, start_other, (FILES, 50)),
    "8-avatars-superseded-goes-on": Scenario({"files": 300}, start_new("api"), (FILES, None)),
    "6.14-avatars-second-instance-starts": Scenario({"files": 300}, start_other, (FILES, None)),
    "6.14-files-superseded-goes-on": Scenario(
        {"files": 8}, start_new("pending-avatars"), (DONE, None)
    ),
    "6.2-new-op-in-mid": Scenario({"channels": 30}, start_new("pending-avatars"), (CHANNELS, 5)),
    "6.2-second-instance-in-mid": Scenario({"channels": 30}, start_other, (CHANNELS, 5)),
    # Killed, or cleared at rest.
    "6.14-avatars-killed": Scenario({"files": 300}, kill, (FILES, None)),
    "6.14-csv-killed-in-messages-then-restart": Scenario(LARGE, kill, (MESSAGES, 1000)),
    "6.14-clear-at-selection": Scenario(
        {"users": 30, "channels": 2, "messages": 30}, clear, (SELECTION, None)
    ),
    "6.14-csv-restart-at-selection-then-run": Scenario(
        {"users": 60, "channels": 2, "messages": 100}, kill, (SELECTION, None)
    ),
    "6.14-fuzz-other-07": Scenario(FUZZED, start_other, (SELECTION, None)),
    "6.14-fuzz-kill-01": Scenario(FUZZED, kill, ("importer_uploading", None)),
    "6.14-fuzz-kill-07": Scenario(FUZZED, kill, ("importer_preparing_messages", None)),
    "6.14-fuzz-kill-15": Scenario(FUZZED, kill, ("importer_importing_started", None)),
    "6.14-fuzz-kill-19": Scenario(FUZZED, kill, (CHANNELS, 100)),
    "6.14-fuzz-kill-23": Scenario(FUZZED, kill, (DONE, 202)),
    "6.14-fuzz-clear-23": Scenario(FUZZED, clear, (DONE, 202)),
    "6.14-fuzz-other-23": Scenario(FUZZED, start_other, (DONE, 202)),
    "6.14-fuzz-newop-01": Scenario(FUZZED, start_new("api"), ("importer_uploading", None)),
    "6.14-fuzz-newop-07": Scenario(FUZZED, start_new("api"), (SELECTION, None)),
    "6.14-fuzz-newop-23": Scenario(FUZZED, start_new("api"), (DONE, 202)),
    "6.14-api-new-then-restart": Scenario({"users": 1}, kill, ("importer_new", None)),
    "8-two-uploads-in-a-row-then-all": Scenario(
        {"users": 1}, start_new("csv"), ("importer_file_loaded", None)
    ),
    "8-fuzz-kill-01": Scenario(FUZZED, kill, ("importer_uploading", None)),
    "8-fuzz-kill-07": Scenario(FUZZED, kill, ("importer_preparing_messages", None)),
    "8-fuzz-kill-15": Scenario(FUZZED, kill, ("importer_importing_started", None)),
    "8-fuzz-kill-19": Scenario(FUZZED, kill, (USERS, 220)),
    "8-fuzz-kill-23": Scenario(FUZZED, kill, (CHANNELS, 222)),
    "8-fuzz-newop-01": Scenario(FUZZED, start_new("api"), ("importer_uploading", None)),
    "8-fuzz-newop-07": Scenario(FUZZED, start_new("api"), (SELECTION, None)),
    "8-fuzz-kill-27": Scenario(FUZZED, kill, (MESSAGES, 225)),
    "8-clear-after-done": Scenario({"users": 30, "channels": 2, "messages": 30}, clear, (DONE, 92)),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_simulator_repeats_recording(name: str) -> None:
    path = RECORDINGS / f"{name}.json"
    if not path.exists():
        pytest.skip("there are no recordings")
    recording = json.loads(path.read_text())
    operation_id = recording["states"][0]["docs"][0]["_id"]
    documents = [
        document
        for state in recording["states"]
        for document in state["docs"]
        if document["_id"] == operation_id
    ]
    expected = states(
        (document["status"], document["valid"], document.get("count", {})) for document in documents
    )
    scenario = SCENARIOS[name]
    kind = documents[0]["importerKey"]
    era = ERAS[recording["tree"]]
    entries = repeat(scenario, kind, era)
    actual = states(
        (str(entry.status), bool(entry.valid), entry.count)
        for entry in entries
        if entry.event != "killed"
    )
    assert importing(actual, kind) == importing(expected, kind)
    assert actual[-1] == expected[-1]
    really = recording["operations"][operation_id].get("really_imported")
    if really is not None and scenario.act is not kill:
        imported = entries[-1].imported
        assert {part: imported.get(part, 0) for part in really} == really


def repeat(scenario: Scenario, kind: str, era: Era) -> list[LogEntry]:
    """Return the log's entries of the import, some time after its end."""
    clock = Clock(datetime(2026, 11, 28, 17, tzinfo=UTC))
    workspace = Workspace(clock, era=era)
    is_waiting = scenario.chosen is not None or scenario.when[0] == SELECTION
    operation_id = workspace.start_import(
        kind, "waiting" if is_waiting else "done", records=scenario.records
    )

    def entries() -> list[LogEntry]:
        return [entry for entry in workspace.log if entry.operation_id == operation_id]

    def is_at(when: tuple[str, int | None]) -> bool:
        last = entries()[-1]
        return (last.status, last.count.get("completed")) == when

    if scenario.act is not None:
        while not is_at(scenario.when):
            at = workspace.next_write_at()
            assert at is not None, f"the import never reached {scenario.when}"
            clock.set(at)
        scenario.act(workspace, operation_id)
    clock.advance(3600)
    last = entries()[-1]
    if last.status == SELECTION and last.valid and (scenario.chosen or scenario.act):
        workspace.select(operation_id, scenario.chosen)
        clock.advance(3600)
    return entries()


def states(documents: Iterator[tuple[str, bool, Mapping[str, Any]]]) -> list[State]:
    """Return the successive different states."""
    sequence = (
        (status, valid, tuple(sorted((key, str(number)) for key, number in count.items())))
        for status, valid, count in documents
    )
    return [state for state, _ in groupby(sequence)]


def importing(sequence: list[State], kind: str) -> list[State]:
    """Return the states since the selection: those before vary with the file."""
    steps = ["importer_importing_", "importer_finishing", "importer_done"]
    if kind != "api":  # whose users were sent in batches of other sizes
        steps.append(SELECTION)
    return [state for state in sequence if state[0].startswith(tuple(steps))]
