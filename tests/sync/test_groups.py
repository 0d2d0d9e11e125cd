"""The groups of the settings get into the workspace's row with the result of each poll."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from importmonitor import conf
from importmonitor.models import Workspace
from importmonitor.models.group_sets import encode_groups
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync import poll as poll_module
from simulator.workspace import Workspace as RocketChat
from tests.fake_client import FakeClient
from tests.sync.polling import poll

pytestmark = pytest.mark.django_db


def limit(settings: Any, *groups: str) -> None:
    workspaces = settings.IMPORTMONITOR["WORKSPACES"]
    options = {**workspaces["default"], "GROUPS": list(groups)}
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "WORKSPACES": {"default": options}}


def stored() -> str | None:
    return Workspace.objects.get().groups


def queries_of(do: Callable[[], Any]) -> list[str]:
    """Return the statements that something executes, but for those of transactions."""
    with CaptureQueriesContext(connection) as queries:
        do()
    return [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


def test_each_poll_stores_the_groups_that_the_settings_have_then(
    rocketchat: RocketChat, settings: Any
) -> None:
    rocketchat.start_import("slack", seconds=3600)
    poll(rocketchat)
    assert stored() is None
    for groups in (("b", "a"), ("a",), ()):
        limit(settings, *groups)
        rocketchat.clock.advance(1)
        poll(rocketchat)
        assert stored() == encode_groups(sorted(groups))


def test_idle_poll_stores_groups_in_its_own_write(rocketchat: RocketChat, settings: Any) -> None:
    rocketchat.start_import("slack", seconds=3600)
    poll(rocketchat)
    client = FakeClient(rocketchat.current())
    usual = queries_of(lambda: poll(rocketchat, client=client))
    limit(settings, "acme-ops")
    first = queries_of(lambda: poll(rocketchat, client=client))
    second = queries_of(lambda: poll(rocketchat, client=client))
    assert len(usual) == len(second) == 3
    assert len(first) == 4
    assert "groups" in first[-1].partition("WHERE")[0]
    assert "groups" not in second[-1].partition("WHERE")[0]
    assert stored() == encode_groups(["acme-ops"])


def test_failing_poll_stores_groups(rocketchat: RocketChat, settings: Any) -> None:
    rocketchat.start_import("slack", seconds=3600)
    poll(rocketchat)
    limit(settings, "acme-ops")
    client = FakeClient(rocketchat)
    client.error = Unreachable("No response.")
    rocketchat.clock.advance(60)
    assert not poll(rocketchat, client=client).ok
    assert stored() == encode_groups(["acme-ops"])


def test_poll_that_ends_in_a_bug_stores_groups(
    rocketchat: RocketChat, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rocketchat.start_import("slack", seconds=3600)
    poll(rocketchat)
    limit(settings, "acme-ops")

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(poll_module, "fetch_snapshot", fail)
    with pytest.raises(ZeroDivisionError):
        poll(rocketchat)
    assert stored() == encode_groups(["acme-ops"])


def test_new_row_has_the_groups_before_the_first_poll_has_ended(
    rocketchat: RocketChat, settings: Any
) -> None:
    limit(settings, "acme-ops")
    seen = []

    class WatchingClient(FakeClient):
        def current_operation(self) -> Any:
            seen.append(stored())
            return super().current_operation()

    poll(rocketchat, client=WatchingClient(rocketchat.current()))
    assert seen == [encode_groups(["acme-ops"])]


def test_workspace_that_is_no_longer_configured_keeps_its_groups(
    rocketchat: RocketChat, settings: Any
) -> None:
    limit(settings, "acme-ops")
    poll(rocketchat)
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    with pytest.raises(conf.UnknownWorkspace):
        poll(rocketchat)
    assert stored() == encode_groups(["acme-ops"])
