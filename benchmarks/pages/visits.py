"""Which pages there are, and what a visit to one of them costs. Runs where the database is."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from benchmarks.pages import TWO_FILTERS
from benchmarks.pages.rows import FILES, RARE_FILE
from importmonitor.models import ImportOperation
from importmonitor.sync.prune import prune_operations

if TYPE_CHECKING:
    from django.http import HttpRequest

HISTORY = "/admin/importmonitor/importoperation/"
EXPORT = f"{HISTORY}export/csv/"

#: Pages beside those that every admin of the app has. `{newest}`, `{middle}` and `{oldest}` are
#: keys of operations, `{remote_id}` is Rocket.Chat's of the one in the middle.
PAGES = {
    "the admin's index": "/admin/",
    "history: searched by id": HISTORY + "?q={remote_id}",
    "history: searched by a file that many have": HISTORY + f"?q={quote(FILES[0])}",
    "history: searched by a file that few have": HISTORY + f"?q={quote(RARE_FILE)}",
    "history: searched by what nothing has": HISTORY + "?q=nothing-of-that-name",
    "history: searched by type": HISTORY + "?q=slack",
    "history: searched by two words": HISTORY + "?q=slack+users",
    "history: workspace, outcome": HISTORY + "?workspace=headquarters&outcome=failed",
    "history: workspace, rare outcome": HISTORY + "?workspace=headquarters&outcome=incomplete",
    "history: rare workspace, outcome": HISTORY + "?workspace=archive&outcome=failed",
    f"{TWO_FILTERS}: importer, outcome": HISTORY + "?importer=slack&outcome=failed",
    f"{TWO_FILTERS}: rare importer, outcome": HISTORY + "?importer=none&outcome=failed",
    f"{TWO_FILTERS}: state, importer": HISTORY + "?state=done&importer=csv",
    "history: outcome, searched": HISTORY + f"?outcome=failed&q={quote(RARE_FILE)}",
    "operation: the newest": HISTORY + "{newest}/change/",
    "operation: in the middle": HISTORY + "{middle}/change/",
    "operation: the oldest": HISTORY + "{oldest}/change/",
}


class Statement(NamedTuple):
    """A statement as it was executed, and the milliseconds that it took."""

    sql: str
    params: Any
    ms: float


@dataclass(frozen=True)
class Visit:
    """What a page answered and took: its status, its tables' rows, milliseconds, statements."""

    status: int
    rows: int
    ms: float
    statements: list[Statement]

    def told(self) -> dict[str, Any]:
        """Return what the one who compares wants to know."""
        counted = {"rows": self.rows, "queries": len(self.statements)}
        return {"status": self.status, "ms": self.ms} | counted


class Browser:
    """A superuser's."""

    def __init__(self) -> None:
        self.user = User.objects.create_superuser("root")
        self.client = Client()
        self.client.force_login(self.user)

    def visit(self, path: str) -> Visit:
        """Get a page, and look on while it asks the database."""
        statements: list[Statement] = []

        def look_on(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
            began = time.perf_counter()
            try:
                return execute(sql, params, *rest)
            finally:
                ms = (time.perf_counter() - began) * 1000
                statements.append(Statement(sql, params, ms))

        with connection.execute_wrapper(look_on):
            began = time.perf_counter()
            response = self.client.get(path)
            ms = (time.perf_counter() - began) * 1000
        return Visit(response.status_code, response.content.count(b"<tr"), ms, statements)

    def pages(self) -> dict[str, str]:
        """Return the paths of all pages by their names."""
        operations = ImportOperation.objects.order_by("started_at")
        middle = operations[operations.count() // 2]
        known = {
            "newest": operations.reverse()[0].pk,
            "middle": middle.pk,
            "oldest": operations[0].pk,
            "remote_id": middle.remote_id,
        }
        found: dict[str, str] = {}
        for model in apps.get_app_config("importmonitor").get_models():
            if admin.site.is_registered(model):
                options = model._meta  # noqa: SLF001 - documented by Django
                title = "history" if model is ImportOperation else options.verbose_name_plural
                url = reverse(f"admin:importmonitor_{options.model_name}_changelist")
                links = self.links(admin.site.get_model_admin(model), url)
                found |= {f"{title}: {name}": url + query for name, query in links}
        return found | {name: path.format(**known) for name, path in PAGES.items()}

    def links(self, model_admin: "admin.ModelAdmin[Any]", url: str) -> Iterator[tuple[str, str]]:
        """Give the name and the query string of every link that a list offers."""
        last = self.last_page(url, "")
        yield "first page", ""
        yield "second page", "?p=2"
        yield "last page", f"?p={last}"
        request: HttpRequest = RequestFactory().get(url)
        request.user = self.user
        changes = model_admin.get_changelist_instance(request)
        for name in changes.sortable_by or ():
            column = changes.list_display.index(name)
            for order, told in ((f"{column}", "ascending"), (f"-{column}", "descending")):
                yield f"by {name}, {told}", f"?o={order}"
                yield f"by {name}, {told}, last page", f"?o={order}&p={last}"
        for each in changes.filter_specs:
            # The first choice of each is to choose nothing.
            for choice in list(each.choices(changes))[1:]:
                name, query = f"{each.title} {choice['display']}", str(choice["query_string"])
                yield name, query
                yield f"{name}, last page", f"{query}&p={self.last_page(url, query)}"

    def last_page(self, url: str, query: str) -> int:
        """Return the number of the last page that a list links to."""
        html = self.client.get(url + query).content.decode()
        return max([1, *map(int, re.findall(r'href="\?(?:[^"]*?[?&;])?p=(\d+)', html))])

    def explained(self, path: str) -> tuple[str, str, float]:
        """Return a page's slowest statement, the database's plan for it, and its milliseconds."""
        asked = [each for each in self.visit(path).statements if each.sql.startswith("SELECT")]
        slowest = max(asked, key=lambda each: each.ms)
        explain = "EXPLAIN (ANALYZE, BUFFERS)"
        if connection.vendor == "sqlite":
            explain = "EXPLAIN QUERY PLAN"
        with connection.cursor() as cursor:
            cursor.execute(f"{explain} {slowest.sql}", slowest.params)
            lines = [str(row[-1]) for row in cursor.fetchall()]
        return slowest.sql, "\n".join(lines), slowest.ms

    def exported(self) -> dict[str, Any]:
        """Read the export to its end; return its rows, seconds, and growth of memory in KiB."""
        # From here on the peak is counted anew (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
        before = memory()
        began = time.perf_counter()
        response: Any = self.client.get(EXPORT)
        if response.status_code != 200 or not response.streaming:
            return {"status": response.status_code}
        lines = sum(chunk.count(b"\n") for chunk in response.streaming_content)
        took = time.perf_counter() - began
        return {"status": 200, "rows": lines - 1, "seconds": took, "kib": memory() - before}

    def pruned(self) -> dict[str, Any]:
        """Delete all that has ended; return the rows of operations, and the seconds."""
        began = time.perf_counter()
        operations = prune_operations(timezone.now()).operations
        return {"rows": operations, "seconds": time.perf_counter() - began}


def memory() -> int:
    """Return the peak of this process's memory, in KiB."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+)", status)
    assert found is not None
    return int(found[1])
