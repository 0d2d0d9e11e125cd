"""Fixtures and options of the whole suite."""

import gc
import os
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import environ
import hypothesis
import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone, translation

from importmonitor import shared_cache
from importmonitor.rocketchat import client as client_module
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

#: Where the simulated workspaces' clocks start.
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
USER_ID = "d26x6zSkaPSe5gCyy"
AUTH_TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"


hypothesis.settings.register_profile("ordinary", max_examples=25, deadline=None)
hypothesis.settings.register_profile("long", max_examples=75, deadline=None)
hypothesis.settings.load_profile("long" if os.environ.get("LONG") else "ordinary")


#: The cases of `long` and `thorough` tests that this run leaves out.
LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    help_text = "shuffle the tests with this seed"
    parser.addoption("--random-order", type=int, metavar="SEED", help=help_text)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return a worker more than there are cores for `-n auto`: many tests wait for processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what only LONG=1 runs, and order the rest.

    That is `long` tests, and some parameters of `thorough` ones.
    """
    left_out = [] if os.environ.get("LONG") else _long_cases(items)
    config.stash[LEFT_OUT] = len(left_out)
    if hasattr(config, "workeroutput"):
        # In a worker of xdist, whose report this is for (pytest_testnodedown).
        config.workeroutput["left_out"] = len(left_out)
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    seed = config.getoption("random_order")
    if seed is not None:
        random.Random(seed).shuffle(items)
    else:
        # The slowest start first, so that no worker is left alone with them at the end.
        items.sort(key=lambda item: item.path.parent.name not in {"demo", "process"})


def _long_cases(items: list[pytest.Item]) -> set[pytest.Item]:
    counts: Counter[str] = Counter()
    left_out = set()
    for item in items:
        if item.get_closest_marker("long"):
            left_out.add(item)
        if marker := item.get_closest_marker("thorough"):
            test = item.nodeid.partition("[")[0]
            if counts[test] % marker.kwargs["one_in"]:
                left_out.add(item)
            counts[test] += 1
    return left_out


def pytest_collection_finish() -> None:
    """Exempt what is loaded from garbage collection: it is most of what that would traverse."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Every worker collects all tests, so one worker's number is the run's.
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say in one line what was not run; print the seed of a random order."""
    if (seed := config.getoption("random_order")) is not None:
        terminalreporter.write_line(f"Random order: --random-order {seed}")
    counts = Counter({"long cases": config.stash.get(LEFT_OUT, 0)})
    counts.update(_group(report) for report in terminalreporter.stats.get("skipped", []))
    parts = [f"{count} {group}" for group, count in counts.items() if count]
    if parts:
        line = f"Not run: {', '.join(parts)} (-rs lists the skipped). `.ci/run` runs them all."
        terminalreporter.write_line(line)


def _group(report: pytest.TestReport) -> str:
    """Return what a skipped test needs, in words for the summary."""
    if report.nodeid.startswith(("tests/browser/", "tests/clients/")):
        return "browser and client tests"
    return "for another Django" if "Django 6" in str(report.longrepr) else "others"


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client retry at once; tests of the back-off set their own."""
    monkeypatch.setattr(client_module, "BACKOFF", 0.001)


@pytest.fixture(autouse=True)
def _empty_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without cached responses, counted calls and values of `NAME_FILE` variables."""
    cache.clear()
    monkeypatch.setattr(shared_cache, "_warned_at", -shared_cache.WARN_EVERY)
    # django-environ keeps them in its class.
    environ.FileAwareEnv.ENVIRON.files_cache.clear()


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no variable that the project's settings read, but for a SECRET_KEY."""
    for name in list(os.environ):
        if name not in {"PATH", "HOME"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("ENV_FILE", os.devnull)
    monkeypatch.setenv("SECRET_KEY", "for tests")


@pytest.fixture(autouse=True)
def _default_language_and_time_zone() -> None:
    """Undo what a request of another test left active: Django resets it at the next request."""
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture
def workspace() -> Workspace:
    """A simulated workspace that accepts the settings' user; only the test moves its clock."""
    clock = Clock(MONDAY)
    simulated = Workspace(clock, seed=1, rate_limit=None, limiter_clock=clock)
    simulated.add_user(USER_ID, AUTH_TOKEN)
    return simulated


@pytest.fixture
def rocketchat(workspace: Workspace, settings: Any) -> Iterator[Workspace]:
    """The simulated workspace, served on loopback and configured as `default`."""
    with Server(workspace) as server:
        configure(settings, server.url)
        yield workspace


@pytest.fixture
def shared_database(
    transactional_db: None, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[None]:
    """A database that threads can share: instead of SQLite's in memory, a copy of it in a file.

    At the end, the threads that poll and deliver have ended.
    """
    wrapper: Any = connection
    settings_dict, in_memory = wrapper.settings_dict, None
    if wrapper.vendor == "sqlite" and wrapper.is_in_memory_db():
        wrapper.ensure_connection()
        in_memory = wrapper.connection, settings_dict["NAME"]
        wrapper.connection.execute("VACUUM INTO ?", [str(tmp_path / "shared.sqlite3")])
        # As the project has it: otherwise a writer can fail at once beside another.
        with closing(sqlite3.connect(tmp_path / "shared.sqlite3")) as copy:
            copy.execute("PRAGMA journal_mode = WAL")
        wrapper.connection, settings_dict["NAME"] = None, str(tmp_path / "shared.sqlite3")
        # As in memory: the live server's threads use this connection side by side.
        wrapper.close = lambda: None
    yield
    join_threads()
    if in_memory:
        del wrapper.close
        if wrapper.connection is not None:
            # Not now: a thread of the live server can still be in a query, and would crash.
            request.config.add_cleanup(wrapper.connection.close)
        wrapper.connection, settings_dict["NAME"] = in_memory


def join_threads() -> None:
    """Wait for the end of the threads that poll and deliver."""
    while threads := [
        thread for thread in threading.enumerate() if thread.name.startswith("importmonitor-")
    ]:
        for thread in threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), thread.name


def configure(settings: Any, url: str, alias: str = "default", **options: Any) -> None:
    """Configure one workspace at a URL, until the `settings` fixture ends."""
    credentials = {"USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN, "URL": url}
    settings.IMPORTMONITOR = {"WORKSPACES": {alias: credentials | options}}
