"""Rows as a sync would have left them: of every type, state and outcome, over five years."""

import random
from datetime import datetime, timedelta
from typing import Any

from importmonitor.models import (
    Alert,
    EndReason,
    ImportOperation,
    Outcome,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
)
from importmonitor.rocketchat.operation import parse_operation
from simulator.clock import to_iso
from simulator.kinds import CANCELLED, DONE, FAILED, IMPORTING_STARTED, KINDS

SPAN = timedelta(days=5 * 365)
#: By weight, as imports are dealt to them. The last has but a few, however many there are.
WORKSPACES = {"headquarters": 60, "sales": 25, "support": 15, "archive": 0}
RARE_WORKSPACE = "archive"
RARE_FILE = "handbook_of_1997.zip"
USERS = ("d26x6zSkaPSe5gCyy", "Hb7kQm3ZtYwN9xRfs", "qW4eRt8yKpLs2dFgh", "c3dNn7mZzPqT5kWvR")
FILES = ("team.zip", "acme_slack_export.zip", "users.csv", "contacts.csv", "backup-2024.tar.gz")
ENDS = {
    EndReason.DONE: 88,
    EndReason.FAILED: 5,
    EndReason.INTERRUPTED: 4,
    EndReason.CANCELED: 2,
    EndReason.SUPERSEDED: 1,
}
STATUSES = {
    EndReason.DONE: DONE,
    EndReason.FAILED: FAILED,
    EndReason.CANCELED: CANCELLED,
    EndReason.INTERRUPTED: "importer_importing_messages",
    EndReason.SUPERSEDED: "importer_user_selection",
}
EVENTS = {EndReason.FAILED: "import.failed", EndReason.INTERRUPTED: "import.interrupted"}
#: What there are a few of among any number: where filters and counts have to go far.
RARE: tuple[dict[str, Any], ...] = (
    {"count": {"total": 9000, "completed": 8000, "error": 0}},
    {"status": "importer_counting_sheep"},
    {"importerKey": "jira-app", "type": "Jira"},
    {"user": "aRarelySeenUser01"},
    {"file": f"2024511_{USERS[0]}_{RARE_FILE}"},
    {},
)


def ended(number: int, at: datetime, rng: random.Random) -> ImportOperation:
    """Return an operation that began at a time, and is over."""
    [reason] = rng.choices(list(ENDS), list(ENDS.values()))
    [workspace] = rng.choices(list(WORKSPACES), list(WORKSPACES.values()))
    document = drawn(number, at, rng) | {
        "status": STATUSES[reason],
        "valid": reason in (EndReason.DONE, EndReason.SUPERSEDED),
    }
    return as_stored(workspace, document, at, reason)


def of_each_outcome(at: datetime, rng: random.Random) -> list[ImportOperation]:
    """Return operations that began at a time, one for each way in which one can end."""
    found = []
    for number, outcome in enumerate(Outcome):
        document = drawn(number, at, rng)
        document["count"]["error"] = 3 if outcome == Outcome.DONE_WITH_ERRORS else 0
        if outcome == Outcome.INCOMPLETE:
            document["count"]["completed"] -= 1
        reason = EndReason(outcome) if outcome in EndReason.values else EndReason.DONE
        document |= {"status": STATUSES[reason], "valid": False}
        found.append(as_stored("headquarters", document, at, reason))
    return found


def rare(number: int, at: datetime, rng: random.Random) -> ImportOperation:
    """Return an operation of a workspace, or of a kind, that has but a few."""
    document = drawn(number, at, rng) | {"status": DONE, "valid": False}
    oddity = RARE[number % len(RARE)]
    workspace = "headquarters" if oddity else RARE_WORKSPACE
    return as_stored(workspace, document | oddity, at, EndReason.DONE)


def under_way(workspace: str, status: str, at: datetime, rng: random.Random) -> ImportOperation:
    """Return an operation that runs or waits."""
    document = drawn(0, at, rng) | {"status": status, "valid": True}
    document["count"] |= {"completed": document["count"]["total"] // 3}
    return as_stored(workspace, document, at, None)


def drawn(number: int, at: datetime, rng: random.Random) -> dict[str, Any]:
    """Return a document as Rocket.Chat sends it, but for where it stands."""
    kind, user = rng.choice(list(KINDS.values())), rng.choice(USERS)
    total = rng.randint(60, 60_000)
    return {
        # Short: what is copied gets six digits more.
        "_id": f"{number:06x}{rng.getrandbits(48):012x}",
        "type": kind.label,
        "importerKey": kind.key,
        "ts": to_iso(at),
        "user": user,
        "_updatedAt": to_iso(at + timedelta(minutes=rng.randint(1, 90))),
        "file": f"{at:%Y%m%d%H%M%S}_{user}_{rng.choice(FILES)}",
        "contentType": "application/zip",
        "hasBoundary": True,
        "count": {
            "total": total,
            "completed": total,
            "error": rng.choice((0, 0, 0, 0, 0, 0, 0, rng.randint(1, 40))),
            "users": total // 10,
            "channels": total // 50,
            "messages": total - total // 10 - total // 50,
        },
    }


def as_stored(
    workspace: str, document: dict[str, Any], at: datetime, reason: EndReason | None
) -> ImportOperation:
    """Return the row of a document; `reason` is None while it is under way."""
    read = parse_operation(document)
    end = read.remote_updated_at if reason else None
    operation = ImportOperation(
        workspace=workspace,
        state=read.state,
        started_at=at,
        first_seen_at=at + timedelta(seconds=30),
        last_seen_at=end or at + timedelta(minutes=2),
        last_progress_at=end or at + timedelta(minutes=2),
        finished_at=end,
        end_reason=reason or "",
        **vars(read),
    )
    operation.outcome = operation.end_outcome()
    return operation


def transitions(operation: ImportOperation) -> list[StatusTransition]:
    """Return what was seen of an operation's way, step by step."""
    steps = ("importer_new", "importer_uploading", "importer_user_selection", IMPORTING_STARTED)
    before, made = "", []
    for number, status in enumerate(dict.fromkeys([*steps, operation.status])):
        read = parse_operation({"_id": "1", "status": status, "valid": True})
        made.append(
            StatusTransition(
                operation=operation,
                from_status=before,
                to_status=status,
                to_state=read.state,
                valid=True,
                count_total=operation.count_total,
                reason=StatusTransition.Reason.REMOTE,
                observed_at=operation.started_at + timedelta(minutes=number),
            )
        )
        before = status
    return made


def samples(operation: ImportOperation, count: int) -> list[ProgressSample]:
    """Return so many samples of an operation's counters."""
    total = operation.count_total or 0
    return [
        ProgressSample(
            operation=operation,
            observed_at=operation.started_at + timedelta(seconds=10 * number),
            completed=total * number // count,
            error=0,
            total=total,
        )
        for number in range(count)
    ]


def alert(operation: ImportOperation) -> Alert:
    """Return the alert of an operation's end, delivered at once."""
    at = operation.finished_at
    assert at is not None
    event = EVENTS.get(EndReason(operation.end_reason), "import.finished")
    return Alert(
        event=event,
        workspace=operation.workspace,
        operation=operation,
        channel="email-3f2a91",
        key=f"{event}:{operation.workspace}:{operation.pk}",
        body={"schema_version": 1, "event": event, "operation": operation.payload},
        created_at=at,
        attempts=1,
        delivered_at=at + timedelta(seconds=2),
    )


def period(number: int, workspace: str, at: datetime, lasting: timedelta) -> SyncPeriod:
    """Return a period of looks that were good, or, at every other number, that were not."""
    good = number % 2 == 0
    return SyncPeriod(
        workspace=workspace,
        outcome=SyncPeriod.OK if good else "Unreachable",
        message="" if good else f"{workspace}: 502 Bad Gateway from a proxy",
        first_at=at,
        last_at=at + lasting * (0.97 if good else 0.02),
        polls=max(1, round(lasting.total_seconds() / 60)),
    )
