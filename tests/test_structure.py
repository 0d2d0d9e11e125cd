"""The architecture: a package imports only from layers below it."""

import ast
from functools import cache
from pathlib import Path

import pytest

import importmonitor

PACKAGE = Path(importmonitor.__file__).parent

#: The layers, lowest first. Modules of one layer do not import each other.
LAYERS = (
    {"__init__", "secret", "logs", "tenancy"},
    {"choices", "signals", "permissions", "rocketchat", "shared_cache"},
    {"conf", "humanize", "admin_urls"},
    {"models"},
    {"exports", "charts", "alerts"},
    {"sync"},
    {"api", "admin"},
    {"management", "contrib", "templatetags"},
    {"checks", "urls"},
    {"apps"},
)
SYNC_LAYERS = (
    {"rate"},
    {"speeds"},
    {"change", "connection", "forecast", "ends", "clock", "lease", "interval", "storage"},
    {"claims"},
    {"stalls", "incidents", "names"},
    {"diff"},
    {"estimates", "unusual"},
    {"fetch", "alerts"},
    {"record"},
    {"poll"},
    {"pool", "courier", "digests", "heartbeat", "prune", "register", "reminders", "totals"},
    {"fleet", "background"},
    {"watch"},
    {"__init__"},
)
#: These packages write operations and their history; the interfaces only read.
WRITERS = {"sync", "models", "migrations"}
HISTORY = (
    *("ImportOperation", "StatusTransition", "ProgressSample", "SyncPeriod", "Workspace"),
    *("Incident", "StoredTotals"),
)
WRITING_METHODS = {
    *("create", "bulk_create", "update", "bulk_update", "delete", "get_or_create"),
    *("update_or_create", "save", "insert_all", "save_all", "add_all"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def imports(path: Path) -> list[str]:
    """Return the dotted names that a module imports, also within functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{name.name}" for name in node.names]
    return names


def layer(layers: tuple[set[str], ...], name: str) -> int | None:
    return next((number for number, names in enumerate(layers) if name in names), None)


def assert_imports_from_below(
    path: Path, layers: tuple[set[str], ...], package: str, own: str
) -> None:
    own_layer = layer(layers, own)
    assert own_layer is not None, f"{own} has no layer"
    for imported in imports(path):
        name = imported.removeprefix(package + ".").split(".")[0]
        imported_layer = layer(layers, name)
        if imported.startswith(package + ".") and name != own and imported_layer is not None:
            assert imported_layer < own_layer, f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_packages_import_from_lower_layers(path: Path) -> None:
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own != "migrations":
        assert_imports_from_below(path, LAYERS, "importmonitor", own)
    assert not any(name.split(".")[0] in {"project", "simulator"} for name in imports(path))


@pytest.mark.parametrize("path", sorted((PACKAGE / "sync").rglob("*.py")), ids=name_of)
def test_sync_modules_import_from_lower_layers(path: Path) -> None:
    own = path.relative_to(PACKAGE / "sync").with_suffix("").parts[0]
    assert_imports_from_below(path, SYNC_LAYERS, "importmonitor.sync", own)


def test_only_the_client_imports_requests() -> None:
    users = [
        name_of(path)
        for path in MODULES
        if any(name.split(".")[0] == "requests" for name in imports(path))
    ]
    assert users == ["rocketchat/client.py"]


def test_only_the_shared_cache_imports_djangos() -> None:
    """Its server can be down, and its serializer may know JSON alone."""
    users = [name_of(path) for path in MODULES if "django.core.cache" in {*imports(path)}]
    assert users == ["shared_cache.py"]


def test_api_metrics_and_template_tags_never_poll() -> None:
    polling = {
        "importmonitor.sync",
        "importmonitor.sync.fetch",
        "importmonitor.sync.poll",
        "importmonitor.rocketchat.client",
    }
    for folder in ("api", "contrib/prometheus", "templatetags"):
        for path in (PACKAGE / folder).rglob("*.py"):
            assert not polling & set(imports(path)), path


def test_rocketchat_does_not_import_django() -> None:
    for path in (PACKAGE / "rocketchat").glob("*.py"):
        assert not any(name.split(".")[0] in {"django", "rest_framework"} for name in imports(path))


def test_drf_is_imported_by_the_api_alone() -> None:
    """DRF would be a third of a cron command's start-up."""
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] not in {"api", "contrib"}:
            assert not any(name.startswith("rest_framework") for name in imports(path)), path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_interfaces_only_read_the_history(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] in WRITERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = ast.unparse(node.func.value)
            if node.func.attr in WRITING_METHODS:
                assert not any(model in target for model in HISTORY), ast.unparse(node)
