"""The JSON form of an alert: what is stored, and what programs get."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from importmonitor import conf
from importmonitor.choices import Event, severity
from importmonitor.models import ImportOperation, Incident, Workspace

#: Increased when a key of the JSON form changes its meaning or is removed; keys can be added.
SCHEMA_VERSION = 1

#: The event of a message that tests whether alerts are delivered.
TEST = "test"

#: The event of a summary of a day or a week.
DIGEST = "digest"

#: Those that channels do not choose by EVENTS. Each is a message of its own.
OWN_EVENTS = (TEST, DIGEST)


@dataclass(frozen=True)
class AlertDraft:
    """An alert before it is written: the JSON form without what a delivery adds.

    `key` is unique to the event; `operation_pk` and `transition_pk` are the rows it is about. It
    is not sent before `not_before`: until then, it may turn out to be something else. `incident`
    is the one that it opens or ends.
    """

    event: str
    workspace: str
    key: str
    body: dict[str, Any]
    operation_pk: int | None = None
    transition_pk: int | None = None
    not_before: datetime | None = None
    incident: Incident | None = None

    @property
    def outcome(self) -> str | None:
        """How the import ended, if it has."""
        operation = self.body["operation"]
        return operation["outcome"] if operation else None

    def about(self, incident: Incident | None, *, reminder: int = 0) -> "AlertDraft":
        """Return the alert with its incident; `reminder` counts how often it was repeated."""
        if incident is None:
            return self
        described = {
            "id": incident.pk,
            "kind": incident.kind,
            "since": _iso(incident.since),
            "until": _iso(incident.until),
            "reminder": reminder,
        }
        return replace(self, incident=incident, body=self.body | {"incident": described})


def draft_operation_alert(
    event: Event,
    operation: ImportOperation,
    *,
    at: datetime,
    key: str,
    states: tuple[str | None, str],
    log_from: datetime,
    step: str,
    transition_pk: int | None,
) -> AlertDraft:
    """Return an alert about an event of a saved operation.

    `states` are the old and the new one. `log_from` is where the part of Rocket.Chat's server log
    starts that can hold the reason, and `step` is the step at that time.
    """
    outcome = operation.present_outcome
    left = operation.time_left(at)
    log_to = operation.finished_at or at
    links = conf.get_links(operation.workspace)
    body = _base_body(event, operation.workspace, key, at, states) | {
        "severity": severity(event, outcome),
        "operation": {
            "id": operation.pk,
            "remote_id": operation.remote_id,
            "type": operation.type,
            "importer_key": operation.importer_key,
            "file": operation.file_name,
            "started_by": operation.remote_user_id,
            "started_by_name": operation.started_by_name,
            "status": operation.status,
            "state": operation.state,
            "valid": operation.valid,
            "outcome": outcome.value if outcome else None,
            "counters": operation.counters,
            "records": operation.progress.records,
            "percent": operation.percent,
            "settings_opened": operation.may_have_opened_settings,
            "stride": operation.stride,
            "seconds_left": left.seconds()[0] if left else None,
            "started_at": _iso(operation.started_at),
            "last_progress_at": _iso(operation.last_progress_at),
            "finished_at": _iso(operation.finished_at),
            "duration_seconds": round(operation.duration(at).total_seconds()),
        },
        "server_log": {
            "from": _iso(log_from),
            "to": _iso(log_to),
            "status": step,
            "log_url": links.log_link(log_from, log_to, operation.remote_id) or None,
        },
    }
    return AlertDraft(event, operation.workspace, key, body, operation.pk, transition_pk)


def draft_workspace_alert(
    event: Event,
    workspace: Workspace,
    *,
    at: datetime,
    since: datetime,
    outcome: str,
    message: str,
    flapping: bool = False,
    progress: Sequence[dict[str, Any]] = (),
) -> AlertDraft:
    """Return an alert that a workspace has been unreachable since a time, or is reachable again.

    `flapping` is whether it is so again and again, and there will be no alert until that is over;
    `progress` is how far imports went meanwhile.
    """
    alias = workspace.alias
    key = f"{event}:{alias}:{_iso(since)}"
    states = ("failing", "ok") if event == Event.RECOVERED else ("ok", "failing")
    body = _base_body(event, alias, key, at, states) | {
        "sync": {
            "workspace_id": workspace.pk,
            "outcome": outcome,
            "message": message,
            "since": _iso(since),
            "duration_seconds": round((at - since).total_seconds()),
            "flapping": flapping,
            "progress": list(progress),
        },
    }
    return AlertDraft(event, alias, key, body)


def draft_test_alert(workspace: str, *, at: datetime, key: str) -> AlertDraft:
    """Return an alert that tests whether alerts are delivered."""
    return AlertDraft(TEST, workspace, key, _base_body(TEST, workspace, key, at, (None, None)))


def draft_digest(key: str, figures: dict[str, Any], *, at: datetime) -> AlertDraft:
    """Return a digest with the figures of a period; it is about no single workspace."""
    body = _base_body(DIGEST, "", key, at, (None, None)) | {"digest": figures}
    return AlertDraft(DIGEST, "", key, body)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _base_body(
    event: str, workspace: str, key: str, at: datetime, states: tuple[str | None, str | None]
) -> dict[str, Any]:
    old, new = states
    return {
        "schema_version": SCHEMA_VERSION,
        "event": str(event),
        "severity": severity(event, None),
        "idempotency_key": key,
        "occurred_at": _iso(at),
        "workspace": workspace,
        "old_state": old,
        "new_state": new,
        "operation": None,
        "server_log": None,
        "sync": None,
        "incident": None,
    }
