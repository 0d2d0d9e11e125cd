"""Rocket.Chat's words for the progress of an import: its raw `status` and its coarse `state`."""

from enum import StrEnum

#: Every step that Rocket.Chat 3.x to 8.x writes into `status`, in the order of an import. The list
#: has grown before (the two `_contacts` came in 7.x) and will again: a step that is not in it is
#: data, never an error.
STEPS = (
    "importer_new",
    "importer_uploading",
    "importer_downloading_file",
    "importer_file_loaded",
    "importer_preparing_started",
    "importer_preparing_users",
    "importer_preparing_channels",
    "importer_preparing_messages",
    "importer_preparing_contacts",
    "importer_user_selection",
    "importer_importing_started",
    "importer_importing_users",
    "importer_importing_channels",
    "importer_importing_messages",
    "importer_importing_contacts",
    "importer_importing_files",
    "importer_finishing",
    "importer_done",
    "importer_import_failed",
    "importer_import_cancelled",
)

DONE = "importer_done"
FAILED = "importer_import_failed"
CANCELLED = "importer_import_cancelled"

#: The steps that end an import.
ENDS = frozenset({DONE, FAILED, CANCELLED})


class ImportState(StrEnum):
    """Rocket.Chat's coarse state, as its `import.status` returns it (one l in `canceled`)."""

    NONE = "none"
    NEW = "new"
    LOADING = "loading"
    READY = "ready"
    IMPORTING = "importing"
    DONE = "done"
    ERROR = "error"
    CANCELED = "canceled"
    #: Not Rocket.Chat's: a step that none of its rules covers.
    UNKNOWN = "unknown"


#: The states in which an import makes progress, and so can stall, except at a resting step.
ACTIVE_STATES = ("loading", "importing")
#: The steps at which nothing runs: an import waits for input. At `importer_file_loaded` the
#: prepare page has to be opened; it also stays there when preparing threw an error at once.
RESTING_STEPS = ("importer_new", "importer_file_loaded", "importer_user_selection")

_STATES = {
    "importer_new": ImportState.NEW,
    "importer_uploading": ImportState.LOADING,
    "importer_downloading_file": ImportState.LOADING,
    "importer_file_loaded": ImportState.LOADING,
    "importer_user_selection": ImportState.READY,
    "importer_finishing": ImportState.IMPORTING,
    DONE: ImportState.DONE,
    FAILED: ImportState.ERROR,
    CANCELLED: ImportState.CANCELED,
}

_PREFIXES = {
    "importer_preparing_": ImportState.LOADING,
    "importer_importing_": ImportState.IMPORTING,
}

_RANKS = {step: rank for rank, step in enumerate(STEPS)}


def state_of(status: str, valid: bool | None) -> ImportState:
    """Return the state that Rocket.Chat derives from a step and `valid`; the first match wins.

    `valid` is None if it was absent or unreadable. Rocket.Chat treats that as false; here only an
    explicit false is an error, so that an unreadable field is never reported as a failure.
    """
    if valid is False and status != DONE:
        return ImportState.ERROR
    if status in _STATES:
        return _STATES[status]
    for prefix, state in _PREFIXES.items():
        if status.startswith(prefix):
            return state
    return ImportState.UNKNOWN


def rank(status: str) -> int | None:
    """Return a step's position in an import (0 is the first), or None for an unknown step."""
    return _RANKS.get(status)
