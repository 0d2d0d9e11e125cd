"""The page of the workspaces: availability strips, and periods of polls."""

from typing import Any

from django.test import Client
from django.utils import timezone

from importmonitor.models import SyncPeriod
from tests.admin.helpers import page
from tests.admin.workspace_states import WORKSPACES, configure, save_period


def test_each_workspace_has_a_strip(root: Client, settings: Any) -> None:
    aliases = [f"w{number:02d}" for number in range(23)]
    configure(settings, *aliases)
    save_period("w01", last_at=timezone.now())
    save_period("w02", "Unreachable", last_at=timezone.now())
    response = root.get(WORKSPACES)
    assert [alias for alias, _ in response.context["strips"]] == aliases[:20]
    shown = page(response)
    assert "3 more workspaces are not shown: select one in the filter." in shown.words
    assert len(shown.rows) == 2
    strips = {alias: str(strip) for alias, strip in response.context["strips"]}
    assert "100 %" in strips["w01"]
    assert "100 %" not in strips["w02"]
    [(alias, _)] = root.get(f"{WORKSPACES}?workspace=w22").context["strips"]
    assert alias == "w22"


def test_periods_can_be_filtered_by_sync_status(root: Client, settings: Any) -> None:
    configure(settings, "a", "b")
    for alias, outcome in (("a", SyncPeriod.OK), ("b", "Unreachable"), ("c", "BadAnswer")):
        save_period(alias, outcome)

    def rows(query: str) -> set[str]:
        periods = root.get(f"{WORKSPACES}?{query}").context["cl"].queryset
        return set(periods.values_list("outcome", flat=True))

    assert rows("sync_status=failing") == {"Unreachable", "BadAnswer"}
    assert rows("sync_status=BadAnswer") == {"BadAnswer"}
    assert rows("sync_status=nonsense") == set()
    assert rows("workspace=b") == {"Unreachable"}
    assert rows("") == {SyncPeriod.OK, "Unreachable", "BadAnswer"}
