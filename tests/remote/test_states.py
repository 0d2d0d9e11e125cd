"""Rocket.Chat's table of steps and states, row by row."""

import pytest

from importmonitor.rocketchat.states import CANCELLED, DONE, ENDS, FAILED, STEPS, rank, state_of

#: A step without `importer_`, and its state while `valid` is true.
TABLE = [
    ("new", "new"),
    ("uploading", "loading"),
    ("downloading_file", "loading"),
    ("file_loaded", "loading"),
    ("preparing_started", "loading"),
    ("preparing_users", "loading"),
    ("preparing_channels", "loading"),
    ("preparing_messages", "loading"),
    ("preparing_contacts", "loading"),
    ("user_selection", "ready"),
    ("importing_started", "importing"),
    ("importing_users", "importing"),
    ("importing_channels", "importing"),
    ("importing_messages", "importing"),
    ("importing_contacts", "importing"),
    ("importing_files", "importing"),
    ("finishing", "importing"),
    ("done", "done"),
    ("import_failed", "error"),
    ("import_cancelled", "canceled"),
]


@pytest.mark.parametrize(("step", "state"), TABLE)
def test_state_of_valid_step(step: str, state: str) -> None:
    assert state_of(f"importer_{step}", True) == state


@pytest.mark.parametrize(("step", "state"), TABLE)
def test_invalid_step_is_error_unless_done(step: str, state: str) -> None:
    assert state_of(f"importer_{step}", False) == ("done" if step == "done" else "error")


@pytest.mark.parametrize(("step", "state"), TABLE)
def test_step_of_unknown_validity_is_no_error(step: str, state: str) -> None:
    assert state_of(f"importer_{step}", None) == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("importer_preparing_emoji", "loading"),
        ("importer_importing_emoji", "importing"),
        ("importer_preparing_", "loading"),
        ("importer_preparing", "unknown"),
        ("importer_reticulating_splines", "unknown"),
        ("preparing_users", "unknown"),
        (" importer_done", "unknown"),
        ("IMPORTER_DONE", "unknown"),
        ("importer_done_", "unknown"),
        ("", "unknown"),
    ],
)
@pytest.mark.parametrize("valid", [True, None])
def test_unknown_step_has_state_of_its_prefix(status: str, state: str, valid: bool | None) -> None:
    assert state_of(status, valid) == state
    assert state_of(status, False) == "error"


def test_rank_is_position_in_import() -> None:
    assert [f"importer_{step}" for step, _ in TABLE] == list(STEPS)
    assert [rank(step) for step in STEPS] == list(range(20))


@pytest.mark.parametrize("status", ["", "importer_importing_emoji", "done", "importer_DONE"])
def test_unknown_step_has_no_rank(status: str) -> None:
    assert rank(status) is None


def test_final_steps_come_last() -> None:
    assert {DONE, FAILED, CANCELLED} == ENDS
    assert min(rank(step) or 0 for step in ENDS) > max(
        rank(step) or 0 for step in STEPS if step not in ENDS
    )
