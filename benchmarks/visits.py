"""The admin's pages, the export and pruning; called in the project's environment."""

import re
import statistics
import time
from functools import cache
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks.pages import WORKSPACES
from importmonitor.models import ImportOperation
from importmonitor.sync.prune import prune_operations


@cache
def browser() -> Client:
    """Return the client of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def pages() -> dict[str, str]:
    """Return the pages' paths by name."""
    history = list_url("importoperation")
    operations = ImportOperation.objects.order_by("started_at")
    middle = operations[operations.count() // 2]
    return {
        "the admin's index": reverse("admin:index"),
        "history: first page": history,
        "history: last full page": last_full_page(history, "?"),
        "history: outcome done, last full page": last_full_page(history, "?outcome=done&"),
        "history: workspace, outcome": f"{history}?workspace={WORKSPACES[0]}&outcome=failed",
        "history: searched by id": f"{history}?q={middle.remote_id}",
        "history: searched, nothing found": f"{history}?q=no-such-operation",
        "operation": reverse("admin:importmonitor_importoperation_change", args=[middle.pk]),
        "workspaces": list_url("workspace"),
        "alerts": list_url("alert"),
    }


def list_url(model: str) -> str:
    return reverse(f"admin:importmonitor_{model}_changelist")


def last_full_page(url: str, query: str) -> str:
    """Return the URL of the last page but one that a list links to."""
    html = browser().get(url + query).content.decode()
    numbers = map(int, re.findall(r'href="\?(?:[^"]*?[?&;])?p=(\d+)', html))
    return f"{url}{query}p={max(numbers) - 1}"


def visit(path: str) -> float:
    """Return the milliseconds that a page takes."""
    started = time.perf_counter()
    response = browser().get(path)
    ms = (time.perf_counter() - started) * 1000
    if response.status_code != 200:
        raise RuntimeError(f"{path}: {response.status_code}")
    return ms


def exports(times: int) -> dict[str, float]:
    """Export all operations; return the median microseconds per row, and the growth of memory."""
    # Resets the peak of the memory (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before, us_per_row = peak_memory(), []
    for _ in range(times):
        started = time.perf_counter()
        response: Any = browser().get(list_url("importoperation") + "export/csv/")
        rows = sum(chunk.count(b"\n") for chunk in response.streaming_content) - 1
        us_per_row.append((time.perf_counter() - started) / rows * 1e6)
        if rows != ImportOperation.objects.count():
            raise RuntimeError(f"The export has {rows} rows.")
    peak = peak_memory()
    return {
        "us_per_row": statistics.median(us_per_row),
        "mib": (peak - before) / 1024,
        "peak_ratio": peak / before,
    }


def peak_memory() -> int:
    """Return the peak of this process's memory, in KiB."""
    match = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1])


def prune() -> float:
    """Delete all operations that have ended; return the microseconds per operation."""
    started = time.perf_counter()
    operations = prune_operations(timezone.now()).operations
    return (time.perf_counter() - started) / operations * 1e6
