"""The pages and endpoints of a fleet; called in the project's environment."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache as shared
from django.db import connection
from django.test import Client
from django.urls import reverse

from importmonitor.models import ApiToken, ImportOperation, StoredTotals, Viewer
from importmonitor.sync.totals import store_totals

#: Who sees everything.
SUPERUSER = "superuser"


@cache
def user(name: str) -> User:
    """Return the superuser, or the member of the group of this name."""
    user = User.objects.create_user(name, is_staff=True, is_superuser=name == SUPERUSER)
    if not user.is_superuser:
        user.groups.add(Group.objects.create(name=name))
        permissions = Permission.objects.filter(content_type__app_label="importmonitor")
        user.user_permissions.set(permissions)
    return user


@cache
def client(name: str) -> Client:
    """Return the client of a user, logged in and with an API token."""
    _token, text = ApiToken.objects.issue(user(name))
    client = Client(headers={"x-user-id": str(user(name).pk), "x-auth-token": text})
    client.force_login(user(name))
    return client


def pages(name: str = SUPERUSER) -> dict[str, str]:
    """Return the paths of the pages and endpoints by name, about a workspace that a user sees."""
    history = reverse("admin:importmonitor_importoperation_changelist")
    workspaces = reverse("admin:importmonitor_workspace_changelist")
    viewer = Viewer(user(name))
    workspace = viewer.workspaces().order_by("pk")[0]
    last = ImportOperation.objects.get(pk=workspace.pk)
    return {
        "the admin's index": reverse("admin:index"),
        "history": history,
        "history of a workspace": f"{history}?workspace={last.workspace}",
        "history: searched by id": f"{history}?q={last.remote_id}",
        "operation": reverse("admin:importmonitor_importoperation_change", args=[last.pk]),
        "workspaces": workspaces,
        "workspaces: searched": f"{workspaces}?q={last.workspace}",
        "workspace": reverse("admin:importmonitor_workspace_change", args=[workspace.pk]),
        "incidents": reverse("admin:importmonitor_incident_changelist"),
        "alerts": reverse("admin:importmonitor_alert_changelist"),
        "/healthz": "/healthz",
        # As many as the smallest fleet has.
        "/api/workspaces/": "/api/workspaces/?page_size=25",
        "/api/import-operations/": "/api/import-operations/",
        "getCurrentImportOperation": f"/workspaces/{last.workspace}/api/v1/"
        "getCurrentImportOperation",
    }


def visit(path: str, name: str = SUPERUSER) -> dict[str, float]:
    """Return the milliseconds that a page takes, its bytes and its queries."""
    return measure(client(name), path)


@cache
def prometheus() -> Client:
    """Return the client of a user such as the documentation has for Prometheus."""
    user = User.objects.create_user("prometheus")
    user.user_permissions.add(Permission.objects.get(codename="view-import-operations"))
    _token, text = ApiToken.objects.issue(user)
    return Client(headers={"authorization": f"Bearer {text}"})


def scrape(is_watched: bool, name: str = "") -> dict[str, float]:
    """Return the same of the metrics; nothing is cached, and a watch has stored the totals or not.

    Those of few workspaces are counted at each scrape. Without a name, Prometheus's user scrapes.
    """
    shared.clear()
    StoredTotals.objects.all().delete()
    if is_watched:
        store_totals()
    return measure(client(name) if name else prometheus(), "/metrics")


def measure(browser: Client, path: str) -> dict[str, float]:
    queries = 0

    def count(run: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return run(*arguments)

    with connection.execute_wrapper(count):
        started = time.perf_counter()
        response = browser.get(path)
        ms = (time.perf_counter() - started) * 1000
    if response.status_code != 200:
        raise RuntimeError(f"{path}: {response.status_code}")
    return {"ms": ms, "bytes": len(response.content), "queries": queries}
