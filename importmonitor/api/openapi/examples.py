"""What the REST face answers, for the document to show."""

from typing import Any

DOCUMENT: dict[str, Any] = {
    "_id": "65f8a1c2e4b0d9a7c3f1e205",
    "type": "CSV",
    "importerKey": "csv",
    "ts": "2026-03-25T11:00:00.000Z",
    "status": "importer_importing_users",
    "valid": True,
    "user": "d26x6zSkaPSe5gCyy",
    "_updatedAt": "2026-03-25T11:30:00.000Z",
    "file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv",
    "count": {"total": 1200, "completed": 600, "users": 1200},
}
SYNC: dict[str, Any] = {"state": "ok", "synced_at": "2026-03-25T11:30:30Z", "age_seconds": 12}
OPERATION: dict[str, Any] = {
    "id": 1,
    "workspace": "default",
    "remote_id": "65f8a1c2e4b0d9a7c3f1e205",
    "type": "CSV",
    "importer_key": "csv",
    "status": "importer_importing_users",
    "state": "importing",
    "valid": True,
    "outcome": None,
    "stalled": False,
    "remote_user_id": "d26x6zSkaPSe5gCyy",
    "file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv",
    "file_name": "people.csv",
    "content_type": "text/csv",
    "counters": {
        "total": 1200,
        "completed": 600,
        "error": None,
        "users": 1200,
        "channels": None,
        "messages": None,
        "contacts": None,
    },
    "percent": 50,
    "rate": 2.5,
    "seconds_left": 228,
    "duration_seconds": 1842,
    "remote_started_at": "2026-03-25T11:00:00Z",
    "remote_updated_at": "2026-03-25T11:30:00Z",
    "started_at": "2026-03-25T11:00:00Z",
    "first_seen_at": "2026-03-25T11:00:30Z",
    "last_seen_at": "2026-03-25T11:30:30Z",
    "last_progress_at": "2026-03-25T11:30:30Z",
    "stalled_since": None,
    "waiting_since": None,
    "finished_at": None,
    "modified_at": "2026-03-25T11:30:30Z",
    "unreadable": [],
    "note": "",
    "sync": SYNC,
}
DETAIL: dict[str, Any] = OPERATION | {"payload": DOCUMENT}
TRANSITION: dict[str, Any] = {
    "id": 1,
    "observed_at": "2026-03-25T11:20:30Z",
    "reason": "remote",
    "from_status": "importer_preparing_users",
    "to_status": "importer_importing_users",
    "from_state": "loading",
    "to_state": "importing",
    "valid": True,
    "count_total": 1200,
    "count_completed": 0,
    "count_error": None,
}
SAMPLE: dict[str, Any] = {
    "observed_at": "2026-03-25T11:30:30Z",
    "completed": 600,
    "error": None,
    "total": 1200,
}
WORKSPACE: dict[str, Any] = {
    "workspace": "default",
    "sync": SYNC,
    "outcome": "ok",
    "message": "",
    "since": "2026-03-01T08:00:00Z",
    "synced_at": "2026-03-25T11:30:30Z",
    "polls": 69_000,
    "operation": OPERATION,
}
