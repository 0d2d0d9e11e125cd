"""What an import still does after its operation has become invalid, while its process lives."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from simulator.documents import Operation
from simulator.eras import Era
from simulator.imports import Event
from simulator.kinds import (
    DONE,
    FAILED,
    FILE_LOADED,
    FINISHED,
    FINISHING,
    IMPORTING_STARTED,
    NEW,
    USER_SELECTION,
    Kind,
)

Timed = tuple[datetime, Event]

# Skipping what is left takes Rocket.Chat moments.
_SKIP = timedelta(milliseconds=10)
_API_BATCH = 50


def is_resting(kind: Kind | None, status: object) -> bool:
    """Return whether nothing runs at a step: a client has to act, and does not if invalid."""
    has_no_file = kind is not None and kind.key == "api"
    return status in (FILE_LOADED, USER_SELECTION) or (status == NEW and has_no_file)


def events_after_invalidation(
    operation: Operation, kind: Kind, era: Era, *, staged_deleted: bool
) -> list[Timed]:
    """Return the events that still come, of those that were scheduled.

    The importers of pending files and avatars never read `valid`, and up to 6.2 no importer does:
    they go on to their real end. Later ones notice at their next write, skip what is left, and
    write `importer_done`.

    Args:
        operation: the operation, with its pending events.
        kind: its importer.
        era: the version of Rocket.Chat.
        staged_deleted: whether the staged records were deleted, as by a new import or a clear;
            another instance's start leaves them.
    """
    pending = list(operation.pending)
    if not pending or not kind.selects or operation.status in FINISHED:
        return pending
    if not _is_importing(operation.status):
        return _until_rest(operation, kind, pending)
    if not era.aborts_invalid_imports or pending[0][1].status in (FINISHING, DONE, FAILED):
        return pending
    return list(_abort(operation, kind, era, pending, staged_deleted=staged_deleted))


def skip_all(kind: Kind, era: Era) -> tuple[Event, ...]:
    """Return the events of an import for which nothing is staged: all steps, without records."""
    statuses = [IMPORTING_STARTED, *_statuses_after(IMPORTING_STARTED, kind, era)]
    return tuple(
        Event(round(_SKIP.total_seconds() * number, 3), status)
        for number, status in enumerate(statuses)
    )


def _is_importing(status: object) -> bool:
    return status == FINISHING or str(status).startswith("importer_importing_")


def _until_rest(operation: Operation, kind: Kind, pending: Sequence[Timed]) -> list[Timed]:
    """Return the events until the import would need input."""
    if is_resting(kind, operation.status):
        return []
    for number, (_, event) in enumerate(pending):
        if is_resting(kind, event.status):
            return list(pending[: number + 1])
    return list(pending)


def _abort(
    operation: Operation, kind: Kind, era: Era, pending: Sequence[Timed], *, staged_deleted: bool
) -> Iterator[Timed]:
    """Yield the next write, at which the importer notices, and the steps that it skips."""
    at, event = pending[0]
    is_last = pending[-1][1].imported == event.imported
    imported = event.imported
    if kind.key == "api" and event.count:
        event = _refused_batch(operation, event)
        imported, is_last = event.imported, False
    yield at, replace(event, is_abort=not is_last)
    if event.count:
        yield from _count_skipped(operation, kind, era, pending)
    elif not staged_deleted:
        # The first record of the step is under way when the importer reads `valid`.
        imported = _with_one_more(event, pending)
    for status in _statuses_after(event.status, kind, era):
        at += _SKIP
        yield at, Event(0, status, imported=imported)


def _refused_batch(operation: Operation, event: Event) -> Event:
    """Return the write of an API import, which counts a batch as errors and imports none of it."""
    before = {key: operation.count.get(key, 0) for key in ("completed", "error")}
    batch = event.count["completed"] + event.count["error"] - sum(before.values())
    count = {**before, "error": before["error"] + min(batch, _API_BATCH)}
    return replace(event, count=count, imported=operation.imported)


def _count_skipped(
    operation: Operation, kind: Kind, era: Era, pending: Sequence[Timed]
) -> Iterator[Timed]:
    """Yield the counters of the one record that is counted, and not imported, after the abort."""
    at, event = pending[0]
    if kind.key == "api":
        return
    total = operation.count.get("total", 0)
    completed, error = event.count["completed"] + 1, event.count["error"]
    if completed + error >= total:
        at += _SKIP / 2
        yield at, replace(event, count={"completed": completed, "error": error})
    is_counted_again = any(
        later.status == event.status == "importer_importing_users" for _, later in pending[1:]
    )
    if is_counted_again and era.has_contacts and kind.counts_users_twice:
        at += _SKIP / 2
        completed += event.imported["users"]
        yield at, replace(event, count={"completed": completed, "error": error})


def _with_one_more(event: Event, pending: Sequence[Timed]) -> dict[str, int]:
    imported = dict(event.imported)
    part = event.status.removeprefix("importer_importing_")
    if pending[-1][1].imported.get(part, 0) > imported.get(part, 0):
        imported[part] = imported.get(part, 0) + 1
    return imported


def _statuses_after(status: str, kind: Kind, era: Era) -> list[str]:
    parts = ["users", "contacts", "channels", "messages"]
    if not (era.has_contacts or "contacts" in kind.shares):
        parts.remove("contacts")
    statuses = [f"importer_importing_{part}" for part in parts]
    if status in statuses:
        del statuses[: statuses.index(status) + 1]
    return [*statuses, FINISHING, DONE]
