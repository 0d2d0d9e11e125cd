"""What an alert says: a stable JSON form for programs, and from it a text for people."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf
from importmonitor.choices import Event, event_label
from importmonitor.humanize import format_duration, format_number
from importmonitor.models import ImportOperation, Outcome

#: Counts up when a key of the JSON form changes its meaning or goes; new keys may come any time.
SCHEMA_VERSION = 1

#: Characters of a title, which becomes the subject of an e-mail.
_LONGEST = 200

#: The event of a message that only shows that messages arrive.
TEST = "test"

#: Rocket.Chat opens these while it imports; a server that is killed in between leaves them so.
OPENED_SETTINGS = (
    ("Accounts_AllowUsernameChange", gettext_lazy("on")),
    ("FileUpload_MaxFileSize", "-1"),
    ("FileUpload_MediaTypeWhiteList", "*"),
    ("FileUpload_MediaTypeBlackList", gettext_lazy("empty")),
)


@dataclass(frozen=True)
class AlertDraft:
    """Something to tell, as it is when it happens: the JSON form, less what a delivery adds.

    `key` is unique to what happened; `operation_pk` and `transition_pk` are the rows it tells of.
    """

    event: str
    workspace: str
    key: str
    body: dict[str, Any]
    operation_pk: int | None = None
    transition_pk: int | None = None


@dataclass(frozen=True)
class Message:
    """An alert as people read it: a line, and some more lines; `body` is its JSON form."""

    title: str
    text: str
    body: dict[str, Any]


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
    """Put down an event of a saved operation.

    `states` are the old and the new one; `log_from` is from when on Rocket.Chat's server log may
    tell more, and `step` the one that it was at.
    """
    outcome = operation.present_outcome
    left = operation.time_left(at)
    body = _body(event, operation.workspace, key, at, states) | {
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
            "percent": operation.percent,
            "seconds_left": round(left.total_seconds()) if left else None,
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
    event: Event, workspace: str, *, at: datetime, since: datetime, outcome: str, message: str
) -> AlertDraft:
    """Put down that a workspace cannot be looked at since a time, or can again."""
    key = workspace_key(event, workspace, since)
    states = ("ok", "failing") if event == Event.UNREACHABLE else ("failing", "ok")
    body = _body(event, workspace, key, at, states) | {
        "sync": {"outcome": outcome, "message": message, "since": _iso(since)},
    }
    return AlertDraft(event, workspace, key, body)


def workspace_key(event: Event, workspace: str, since: datetime) -> str:
    """Return the idempotency key of an event of a workspace that is in trouble since a time."""
    return f"{event}:{workspace}:{_iso(since)}"


def draft_test_alert(workspace: str, *, at: datetime, key: str) -> AlertDraft:
    """Put down a message that tells of nothing, to see whether it arrives."""
    return AlertDraft(TEST, workspace, key, _body(TEST, workspace, key, at, (None, None)))


def render_message(body: dict[str, Any]) -> Message:
    """Word an alert from its stored JSON form, in the active language."""
    operation = body["operation"]
    link = _link(operation)
    body = body | {"url": link}
    if body["event"] == TEST:
        title = _("%(workspace)s: a test of the alerts") % body
        return Message(title, _("If you can read this, alerts arrive."), body)
    title = _title(body, operation)
    if operation is None:
        lines = _workspace_lines(body)
    else:
        lines = [*_operation_lines(body, operation), *_advice(body, operation)]
    return Message(title, "\n".join([*lines, *([link] if link else [])]), body)


def _title(body: dict[str, Any], operation: dict[str, Any] | None) -> str:
    what = event_label(body["event"])
    if operation is None:
        return f"{body['workspace']}: {what}"
    if body["event"] == Event.FINISHED and operation["outcome"]:
        what = f"{what}: {Outcome(operation['outcome']).label}"
    name = ", ".join(filter(None, (operation["type"], operation["file"])))
    return one_line(f"{body['workspace']}: {what} ({name or operation['remote_id']})")[:_LONGEST]


def _workspace_lines(body: dict[str, Any]) -> list[str]:
    sync = body["sync"]
    since = _("Since: %(time)s") % {"time": _local(sync["since"])}
    if body["event"] == Event.RECOVERED:
        return [since, _("Until: %(time)s") % {"time": _local(body["occurred_at"])}]
    return [
        since,
        one_line(sync["message"]),
        _("That says nothing about an import that runs there: nobody can see it from here."),
    ]


def _operation_lines(body: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    counters = operation["counters"]
    facts = [
        (_("Workspace"), body["workspace"]),
        (_("When"), _local(body["occurred_at"])),
        (_("Import"), _kind(operation)),
        (_("File"), operation["file"]),
        (_("Started by"), operation["started_by"]),
        (_("Started"), _local(operation["started_at"])),
        (_("Ended"), _local(operation["finished_at"])),
        (_("Duration"), format_duration(timedelta(seconds=operation["duration_seconds"]))),
        (_("Outcome"), Outcome(operation["outcome"]).label if operation["outcome"] else ""),
        (_("In Rocket.Chat"), f"{operation['state']}, {operation['status']}"),
        (_("Counted"), _counted(operation)),
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
    return [one_line(f"{name}: {fact}") for name, fact in facts if fact]


def _kind(operation: dict[str, Any]) -> str:
    """Name the importer: a label, which can be a key of a translation, and its real key."""
    label, key = operation["type"], operation["importer_key"]
    return label or key if label.lower() in ("", key.lower()) else f"{label} ({key})"


def _counted(operation: dict[str, Any]) -> str:
    total, completed = operation["counters"]["total"], operation["counters"]["completed"]
    if completed is None or total is None:
        return "" if completed is None else format_number(completed)
    counted = _("%(completed)s of %(total)s") % {
        "completed": format_number(completed),
        "total": format_number(total),
    }
    return counted if operation["percent"] is None else f"{counted} ({operation['percent']} %)"


def _advice(body: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    """Say where the reason is to be found, and what is to be seen to."""
    advice = []
    in_trouble = {Outcome.DONE_WITH_ERRORS, Outcome.INCOMPLETE, Outcome.FAILED, Outcome.INTERRUPTED}
    if body["event"] == Event.STALLED or operation["outcome"] in in_trouble:
        log = body["server_log"]
        where = {"start": _local(log["from"]), "end": _local(log["to"]), "status": log["status"]}
        advice += [
            "",
            one_line(
                _(
                    "The reason is in Rocket.Chat's server log alone. Look for lines with "
                    "“Importer” from %(start)s to %(end)s, at the step %(status)s."
                )
                % where
            ),
        ]
    if body["event"] == Event.WAITING:
        advice += ["", _("Somebody has to choose in Rocket.Chat what to import.")]
    if operation["outcome"] == Outcome.INTERRUPTED:
        settings = ", ".join(f"{name} ({value})" for name, value in OPENED_SETTINGS)
        advice += [
            "",
            _("It will not go on by itself, whatever Rocket.Chat's page shows."),
            _(
                "Rocket.Chat opens these settings while it imports, and may have left them open: "
                "%(settings)s. Check them."
            )
            % {"settings": settings},
        ]
    return [*advice, ""] if advice else []


def _link(operation: dict[str, Any] | None) -> str | None:
    """Return the address of an operation's admin page, or the history's; None if unknown."""
    base = conf.options().base_url
    if not base:
        return None
    page = "admin:importmonitor_importoperation_"
    try:
        if operation is None:
            path = reverse(f"{page}changelist")
        else:
            path = reverse(f"{page}change", args=[operation["id"]])
    except NoReverseMatch:
        # A host without the admin.
        return None
    # A path that the site is mounted at belongs to its base URL; a cron job knows of none.
    return base + path.removeprefix(get_script_prefix().rstrip("/"))


def one_line(text: str) -> str:
    """Return text that cannot begin a line of its own, or a header of an e-mail."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _local(moment: str | None) -> str:
    if moment is None:
        return ""
    return f"{timezone.localtime(datetime.fromisoformat(moment)):%Y-%m-%d %H:%M:%S %Z}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _body(
    event: str, workspace: str, key: str, at: datetime, states: tuple[str | None, str | None]
) -> dict[str, Any]:
    old, new = states
    return {
        "schema_version": SCHEMA_VERSION,
        "event": str(event),
        "idempotency_key": key,
        "occurred_at": _iso(at),
        "workspace": workspace,
        "old_state": old,
        "new_state": new,
        "operation": None,
        "server_log": None,
        "sync": None,
    }
