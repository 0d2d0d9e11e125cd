"""The pages and endpoints of a fleet; called in the project's environment."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.cache import cache as shared
from django.db import connection
from django.test import Client
from django.urls import reverse

from importmonitor.models import ApiToken, ImportOperation, StoredTotals
from importmonitor.sync.totals import store_totals


@cache
def client() -> Client:
    """Return the client of a superuser, logged in and with an API token."""
    user = User.objects.create_superuser("root")
    _token, text = ApiToken.objects.issue(user)
    client = Client(headers={"x-user-id": str(user.pk), "x-auth-token": text})
    client.force_login(user)
    return client


def pages() -> dict[str, str]:
    """Return the paths of the pages and endpoints by name."""
    history = reverse("admin:importmonitor_importoperation_changelist")
    workspaces = reverse("admin:importmonitor_workspace_changelist")
    last = ImportOperation.objects.get(pk=1)
    return {
        "the admin's index": reverse("admin:index"),
        "history": history,
        "history of a workspace": f"{history}?workspace={last.workspace}",
        "history: searched by id": f"{history}?q={last.remote_id}",
        "operation": reverse("admin:importmonitor_importoperation_change", args=[last.pk]),
        "workspaces": workspaces,
        "workspaces: searched": f"{workspaces}?q={last.workspace}",
        "workspace": reverse("admin:importmonitor_workspace_change", args=[1]),
        "incidents": reverse("admin:importmonitor_incident_changelist"),
        "alerts": reverse("admin:importmonitor_alert_changelist"),
        "/healthz": "/healthz",
        # As many as the smallest fleet has.
        "/api/workspaces/": "/api/workspaces/?page_size=25",
        "/api/import-operations/": "/api/import-operations/",
        "getCurrentImportOperation": f"/workspaces/{last.workspace}/api/v1/"
        "getCurrentImportOperation",
    }


def visit(path: str) -> dict[str, float]:
    """Return the milliseconds that a page takes, its bytes and its queries."""
    return measure(client(), path)


@cache
def prometheus() -> Client:
    """Return the client of a user such as the documentation has for Prometheus."""
    user = User.objects.create_user("prometheus")
    user.user_permissions.add(Permission.objects.get(codename="view-import-operations"))
    _token, text = ApiToken.objects.issue(user)
    return Client(headers={"authorization": f"Bearer {text}"})


def scrape(is_watched: bool) -> dict[str, float]:
    """Return the same of the metrics; nothing is cached, and a watch has stored the totals or not.

    Those of few workspaces are counted at each scrape.
    """
    shared.clear()
    StoredTotals.objects.all().delete()
    if is_watched:
        store_totals()
    return measure(prometheus(), "/metrics")


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
