"""Helpers for the tests of the API and the admin: polls, users and tokens."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import responses
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from importmonitor.models import ApiToken, Viewer
from importmonitor.sync.poll import SyncResult, sync_workspace

PATH = "/api/v1/getCurrentImportOperation"
NOON = datetime(2026, 3, 25, 12, tzinfo=UTC)

#: A viewer from whom nothing is hidden.
EVERYTHING = Viewer(SimpleNamespace(is_active=True, is_superuser=True))

#: An import half-way, as Rocket.Chat 6.3 and later send it.
RUNNING: Mapping[str, Any] = {
    "_id": "65f8a1c2e4b0d9a7c3f1e205",
    "type": "CSV",
    "importerKey": "csv",
    "ts": "2026-03-25T11:00:00.000Z",
    "status": "importer_importing_users",
    "valid": True,
    "user": "d26x6zSkaPSe5gCyy",
    "_updatedAt": "2026-03-25T11:30:00.000Z",
    "file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv",
    "contentType": "text/csv",
    "count": {"total": 10, "completed": 5},
}


def workspace_at(url: str) -> dict[str, str]:
    """Return the options of a workspace, for the settings."""
    return {"URL": url, "USER_ID": "monitormonitor001", "AUTH_TOKEN": "m" * 43}


def poll(
    body: object,
    *,
    status: int = 200,
    content_type: str = "application/json",
    alias: str = "default",
    at: datetime | None = None,
) -> SyncResult:
    """Sync a workspace that sends this body: bytes as they are, anything else as JSON.

    `at` is the time of the poll; now by default.
    """
    # Lone surrogates and NULs are escaped, as in real responses.
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with responses.RequestsMock() as remote:
        url = settings.IMPORTMONITOR["WORKSPACES"][alias]["URL"]
        remote.get(url + PATH, body=raw, status=status, content_type=content_type)
        return sync_workspace(alias, now=timezone.now if at is None else lambda: at)


def sync(document: Mapping[str, Any], **how: Any) -> SyncResult:
    """Sync a workspace with this current operation."""
    result = poll({"operation": document, "success": True}, **how)
    assert result.ok, result.error
    return result


def sync_nothing(**how: Any) -> SyncResult:
    """Sync a workspace into which nothing was ever imported."""
    result = poll({"success": True}, **how)
    assert result.ok, result.error
    return result


def sync_refused(**how: Any) -> SyncResult:
    """Sync a workspace that rejects the token."""
    result = poll(
        {"status": "error", "message": "You must be logged in to do this."}, status=401, **how
    )
    assert not result.ok
    return result


def make_user(name: str, *codenames: str, **fields: Any) -> User:
    """Create a user without a usable password, with permissions of importmonitor."""
    user = User.objects.create(username=name, password="!", **fields)
    user.user_permissions.set(permissions(*codenames))
    return user


def permissions(*codenames: str) -> list[Permission]:
    """Return importmonitor's permissions of these codenames."""
    rows = Permission.objects.filter(
        content_type__app_label="importmonitor", codename__in=codenames
    )
    assert len(rows) == len(codenames)
    return list(rows)


def credentials(user: User, *, expires_at: datetime | None = None) -> dict[str, str]:
    """Return Rocket.Chat's two headers with a new token of a user's."""
    _, text = ApiToken.objects.issue(user, expires_at=expires_at)
    return {"X-User-Id": str(user.pk), "X-Auth-Token": text}
