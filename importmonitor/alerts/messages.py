"""The contents of an alert: a stable JSON form for programs, and a text for people made of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf
from importmonitor.admin_urls import admin_url
from importmonitor.choices import Event, event_label, severity
from importmonitor.humanize import format_duration, format_number
from importmonitor.models import ImportOperation, Incident, Outcome

#: Increased when a key of the JSON form changes its meaning or is removed; keys can be added.
SCHEMA_VERSION = 1

#: Characters of a title, which becomes the subject of an e-mail.
_MAX_TITLE_LENGTH = 200

#: The event of a message that tests whether alerts are delivered.
TEST = "test"

#: Those whose reason is in Rocket.Chat's server log.
_OUTCOMES_WITH_A_REASON = frozenset({Outcome.DONE_WITH_ERRORS, Outcome.FAILED, Outcome.INTERRUPTED})

#: Rocket.Chat sets these during an import; a server that is killed meanwhile leaves them so.
OPENED_SETTINGS = (
    ("Accounts_AllowUsernameChange", gettext_lazy("on")),
    ("FileUpload_MaxFileSize", "-1"),
    ("FileUpload_MediaTypeWhiteList", "*"),
    ("FileUpload_MediaTypeBlackList", gettext_lazy("empty")),
)


_WAITING_ADVICE = {
    "importer_user_selection": gettext_lazy("Choose in Rocket.Chat what to import."),
    "importer_file_loaded": gettext_lazy(
        "Open the import in Rocket.Chat to prepare it. If that fails at once, its file cannot be "
        "read."
    ),
}
_WAITING_FOR_FILE = gettext_lazy("It waits for its file or its data.")


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


@dataclass(frozen=True)
class Message:
    """An alert as people read it: a line and a text; `body` is its JSON form.

    `delivered_to` are the recipients that got it by an earlier attempt.
    """

    title: str
    text: str
    body: dict[str, Any]
    delivered_to: Collection[str] = ()


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
    body = _base_body(event, operation.workspace, key, at, states) | {
        "severity": severity(event, outcome),
        "operation": {
            "id": operation.pk,
            "remote_id": operation.remote_id,
            "type": operation.type,
            "importer_key": operation.importer_key,
            "file": operation.file_name,
            "started_by": operation.remote_user_id,
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
            "to": _iso(operation.finished_at or at),
            "status": step,
        },
    }
    return AlertDraft(event, operation.workspace, key, body, operation.pk, transition_pk)


def draft_workspace_alert(
    event: Event,
    workspace: str,
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
    key = f"{event}:{workspace}:{_iso(since)}"
    states = ("failing", "ok") if event == Event.RECOVERED else ("ok", "failing")
    body = _base_body(event, workspace, key, at, states) | {
        "sync": {
            "outcome": outcome,
            "message": message,
            "since": _iso(since),
            "duration_seconds": round((at - since).total_seconds()),
            "flapping": flapping,
            "progress": list(progress),
        },
    }
    return AlertDraft(event, workspace, key, body)


def draft_test_alert(workspace: str, *, at: datetime, key: str) -> AlertDraft:
    """Return an alert that tests whether alerts are delivered."""
    return AlertDraft(TEST, workspace, key, _base_body(TEST, workspace, key, at, (None, None)))


def render_message(body: dict[str, Any]) -> Message:
    """Return the message for the stored JSON form of an alert, in the active language."""
    operation = body["operation"]
    link = _link(operation)
    body = body | {"url": link}
    if body["event"] == TEST:
        title = _("%(workspace)s: test alert") % body
        return Message(title, _("If you can read this, alerts are delivered."), body)
    title = _title(body, operation)
    if operation is None:
        lines = _workspace_lines(body)
    else:
        lines = [*_operation_lines(body, operation), *_advice(body, operation)]
    return Message(title, "\n".join([*lines, *([link] if link else [])]), body)


def _title(body: dict[str, Any], operation: dict[str, Any] | None) -> str:
    label = event_label(body["event"])
    if operation is None:
        if body["sync"].get("flapping"):
            label = _("%(event)s again and again (flapping)") % {"event": label}
        return f"{body['workspace']}: {label}"
    if body["event"] == Event.FINISHED and operation["outcome"]:
        label = f"{label}: {Outcome(operation['outcome']).label}"
    name = ", ".join(filter(None, (operation["type"], operation["file"])))
    title = one_line(f"{body['workspace']}: {label} ({name or operation['remote_id']})")
    return title[:_MAX_TITLE_LENGTH]


def _workspace_lines(body: dict[str, Any]) -> list[str]:
    sync = body["sync"]
    since = _("Since: %(time)s") % {"time": format_moment(sync["since"])}
    if body["event"] == Event.RECOVERED:
        return [since, _("Until: %(time)s") % {"time": format_moment(body["occurred_at"])}]
    return [
        since,
        one_line(sync["message"]),
        _(
            "An import may still be running there; its progress cannot be seen until the "
            "workspace is reachable again."
        ),
        *(
            [
                _(
                    "It is unreachable again and again. The next message about that comes when it "
                    "has been reachable, or unreachable, for an hour."
                )
            ]
            if sync.get("flapping")
            else []
        ),
    ]


def _operation_lines(body: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    counters = operation["counters"]
    facts = [
        (_("Workspace"), body["workspace"]),
        (_("Time"), format_moment(body["occurred_at"])),
        (_("Import"), _importer(operation)),
        (_("File"), operation["file"]),
        (_("Started by"), operation["started_by"]),
        (_("Started"), format_moment(operation["started_at"])),
        (_("Ended"), format_moment(operation["finished_at"])),
        (_("Duration"), format_duration(timedelta(seconds=operation["duration_seconds"]))),
        (_("Outcome"), Outcome(operation["outcome"]).label if operation["outcome"] else ""),
        (_("Status in Rocket.Chat"), f"{operation['state']}, {operation['status']}"),
        (_("Progress"), _progress(operation)),
        *(
            (name, format_number(counters[key]))
            for key, name in (
                ("users", _("Users")),
                ("channels", _("Channels")),
                ("messages", _("Messages")),
                ("contacts", _("Contacts")),
                ("error", _("Errors")),
            )
            if counters[key]
        ),
    ]
    if operation["seconds_left"] is not None:
        left = format_duration(timedelta(seconds=operation["seconds_left"]))
        facts.append((_("Time left"), _("about %(time)s") % {"time": left}))
    return [one_line(f"{name}: {value}") for name, value in facts if value]


def _importer(operation: dict[str, Any]) -> str:
    """Return the importer's label, which can be a translation key, and its key if it differs."""
    label, key = operation["type"], operation["importer_key"]
    return label or key if label.lower() in ("", key.lower()) else f"{label} ({key})"


def _progress(operation: dict[str, Any]) -> str:
    counters = operation["counters"]
    # None if it is unknown how often users are counted, and in alerts of an earlier release.
    total, records = counters["total"], operation.get("records")
    if records is None:
        records = counters["completed"]
    if records is None or total is None:
        return "" if records is None else format_number(records)
    text = _("%(completed)s of %(total)s")
    if operation["outcome"] == Outcome.INCOMPLETE:
        text = _("at least %(completed)s of %(total)s")
    progress = text % {"completed": format_number(records), "total": format_number(total)}
    return progress if operation["percent"] is None else f"{progress} ({operation['percent']} %)"


def _advice(body: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    """Return the lines that say where the reason is and what to do."""
    advice = []
    if body["event"] == Event.STALLED or operation["outcome"] in _OUTCOMES_WITH_A_REASON:
        log = body["server_log"]
        span = {
            "start": format_moment(log["from"]),
            "end": format_moment(log["to"]),
            "status": log["status"],
        }
        advice += [
            "",
            one_line(
                _(
                    "The reason is only in Rocket.Chat's server log. Search it for “Importer” "
                    "between %(start)s and %(end)s (step %(status)s)."
                )
                % span
            ),
        ]
    if body["event"] == Event.STALLED and operation.get("stride", 0) > 1:
        advice.append(
            _("At this step, Rocket.Chat writes its counters only after every %(count)s records.")
            % {"count": format_number(operation["stride"])}
        )
    if body["event"] == Event.WAITING:
        advice += ["", str(_WAITING_ADVICE.get(operation["status"], _WAITING_FOR_FILE))]
    if operation["outcome"] == Outcome.INCOMPLETE:
        advice += [
            "",
            _(
                "Fewer records were counted than the file holds. Rocket.Chat does not say what "
                "was chosen, and counts in steps of 50 or 500: nothing need be missing."
            ),
        ]
    if operation["outcome"] == Outcome.SUPERSEDED:
        advice += [
            "",
            _("A newer import took its place: Rocket.Chat skipped what was left of this one."),
        ]
    if operation["outcome"] == Outcome.INTERRUPTED:
        advice += ["", _("It will not continue, whatever Rocket.Chat's page shows.")]
        if operation.get("settings_opened", True):
            settings = ", ".join(f"{name} ({value})" for name, value in OPENED_SETTINGS)
            advice.append(
                _(
                    "If Rocket.Chat's server was stopped or killed during the import, it has not "
                    "restored these settings: %(settings)s. Check them."
                )
                % {"settings": settings}
            )
    return [*advice, ""] if advice else []


def _link(operation: dict[str, Any] | None) -> str | None:
    """Return the URL of an operation's admin page, or of the history; None if there is none."""
    base = conf.get_options().base_url
    if not base:
        return None
    if operation is None:
        path = admin_url("importoperation_changelist")
    else:
        path = admin_url("importoperation_change", operation["id"])
    if path is None:
        # No admin of the host has the page.
        return None
    # The base URL includes the path that the site is mounted at, which a cron job does not know.
    return base + path.removeprefix(get_script_prefix().rstrip("/"))


def history_link() -> str | None:
    """Return the URL of the history; None if there is none."""
    return _link(None)


def one_line(text: str) -> str:
    """Return text that cannot start another line, or another header of an e-mail."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def format_moment(moment: str | None) -> str:
    """Return an ISO 8601 time as people read it, in the active time zone."""
    if moment is None:
        return ""
    return f"{timezone.localtime(datetime.fromisoformat(moment)):%Y-%m-%d %H:%M:%S %Z}"


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
