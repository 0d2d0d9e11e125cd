"""The house: data flows one way, and each import points up the list."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import importmonitor

PACKAGE = Path(importmonitor.__file__).parent

#: Each may import those above it (and its own folder), never those below.
ORDER = (
    "__init__",
    "workspaces",
    "events",
    "channels",
    "options",
    "conf",
    "signals",
    "permissions",
    "rocketchat",
    "wording",
    "models",
    "rates",
    "outcomes",
    "changes",
    "health",
    "charts",
    "exports",
    "alerts",
    "notices",
    "looking",
    "sync",
    "retention",
    "pacing",
    "watching",
    "api",
    "admin",
    "templatetags",
    "management",
    "urls",
    "checks",
    "apps",
    "contrib",
    "migrations",
)
#: Faces read; nobody but the sync and the store itself writes operations and their history.
WRITERS = {"sync.py", "retention.py", "models"}
HISTORY = ("ImportOperation", "StatusTransition", "ProgressSample", "SyncPeriod", "SyncLease")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    """The first part of a dotted name below the package."""
    return [*module.split("."), "__init__"][1]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_arrow_points_up(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    here = ORDER.index(parts[0])
    for name in imports(path):
        if name.startswith("importmonitor."):
            there = room(name)
            if there in ORDER:
                assert ORDER.index(there) <= here, f"{path.name} imports {name}"
        assert not name.startswith("project"), f"{path.name} imports the host's {name}"


def test_only_the_client_imports_requests() -> None:
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        if any(name.split(".")[0] == "requests" for name in imports(path))
    ]
    assert users == ["rocketchat/client.py"]


def test_no_face_for_programs_asks_rocketchat() -> None:
    """Whoever asks them, as often as he likes, has Rocket.Chat asked nothing."""
    asking = {"importmonitor.looking", "importmonitor.sync", "importmonitor.rocketchat.client"}
    for folder in ("api", "contrib/prometheus", "templatetags"):
        for path in (PACKAGE / folder).rglob("*.py"):
            assert not asking & set(imports(path)), path


def test_the_remote_side_knows_no_django() -> None:
    for path in (PACKAGE / "rocketchat").glob("*.py"):
        assert not any(name.split(".")[0] in {"django", "rest_framework"} for name in imports(path))


def test_what_a_cron_job_imports_brings_no_drf() -> None:
    for path in modules():
        if path.relative_to(PACKAGE).parts[0] not in {"api", "contrib"}:
            assert not any(name.startswith("rest_framework") for name in imports(path)), path


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_sync_writes_history(path: Path) -> None:
    """Whoever names a history model beside a writing method is the sync, or the store itself."""
    writing = {"create", "bulk_create", "update", "bulk_update", "delete", "get_or_create"}
    if path.relative_to(PACKAGE).parts[0] in WRITERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = ast.unparse(node.func.value)
            if node.func.attr in writing:
                assert not any(model in target for model in HISTORY), ast.unparse(node)
