"""Rocket.Chat's importers, and the steps of their imports."""

from collections.abc import Mapping
from dataclasses import dataclass

NEW = "importer_new"
UPLOADING = "importer_uploading"
FILE_LOADED = "importer_file_loaded"
USER_SELECTION = "importer_user_selection"
IMPORTING_STARTED = "importer_importing_started"
FINISHING = "importer_finishing"
DONE = "importer_done"
FAILED = "importer_import_failed"
CANCELLED = "importer_import_cancelled"
FINISHED = (DONE, FAILED, CANCELLED)

_LOADING = frozenset({UPLOADING, FILE_LOADED, "importer_downloading_file"}) | {
    f"importer_preparing_{part}"
    for part in ("started", "users", "channels", "messages", "contacts")
}
_IMPORTING = frozenset({IMPORTING_STARTED, FINISHING}) | {
    f"importer_importing_{part}" for part in ("users", "channels", "messages", "contacts", "files")
}
_STATES: Mapping[str, str] = {
    NEW: "new",
    **dict.fromkeys(_LOADING, "loading"),
    USER_SELECTION: "ready",
    **dict.fromkeys(_IMPORTING, "importing"),
    DONE: "done",
    FAILED: "error",
    CANCELLED: "canceled",
}


def coarse_state(status: object, valid: object) -> str | None:
    """Return the state of an operation in `import.status`.

    Args:
        status: the operation's raw step.
        valid: its `valid`; any falsy value counts as false.

    Returns:
        None for a step that Rocket.Chat has no state for.
    """
    if not valid and status != DONE:
        return "error"
    return _STATES.get(status) if isinstance(status, str) else None


@dataclass(frozen=True, slots=True)
class Kind:
    """One of Rocket.Chat's importers.

    Attributes:
        key: `importerKey`.
        label: `type`, a word or an i18n key.
        file: name and content type of the uploaded file, or None if nothing is uploaded.
        preparing: the last part of each `importer_preparing_*` step, in order.
        shares: the fraction of all records that are users, messages and so on; they add up to 1.
        selects: whether it waits for a selection of what to import; if not, it never reads `valid`.
    """

    key: str
    label: str
    file: tuple[str, str] | None
    preparing: tuple[str, ...]
    shares: Mapping[str, float]
    selects: bool = True

    @property
    def counts_users_twice(self) -> bool:
        """Whether versions since the contacts rework count its users twice."""
        return self.key in ("csv", "slack", "slack-users")


_CHAT = {"users": 0.1, "channels": 0.02, "messages": 0.88}
_ZIP = "application/zip"
_CSV = "text/csv"

KINDS: Mapping[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind("csv", "CSV", ("team.zip", _ZIP), ("channels", "messages", "users"), _CHAT),
        Kind(
            "slack",
            "Slack",
            ("acme_slack_export.zip", _ZIP),
            ("channels", "users", "messages"),
            _CHAT,
        ),
        Kind("slack-users", "Slack_Users", ("users.csv", _CSV), ("users",), {"users": 1.0}),
        Kind(
            "hipchat-enterprise",
            "HipChat Enterprise",
            ("hipchat-export.tar.gz", "application/gzip"),
            ("started", "users", "channels", "messages"),
            _CHAT,
        ),
        Kind(
            "omnichannel_contact",
            "omnichannel_contacts_importer",
            ("contacts.csv", _CSV),
            ("contacts",),
            {"contacts": 1.0},
        ),
        Kind("pending-avatars", "Pending Avatars", None, ("started",), {"files": 1.0}, False),
        Kind("pending-files", "Pending Files", None, ("started",), {"files": 1.0}, False),
        Kind("api", "API", None, (), {"users": 1.0}),
    )
}
