"""The page of the workspaces: availability strips, and the state of each workspace."""

from typing import Any

from django.test import Client
from django.utils import timezone

from importmonitor.choices import OK
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
    assert "3 more workspaces are not shown: search for one." in shown.words
    assert len(shown.rows) == 2
    strips = {alias: str(strip) for alias, strip in response.context["strips"]}
    assert "100 %" in strips["w01"]
    assert "100 %" not in strips["w02"]


def test_workspaces_can_be_filtered_by_sync_status_and_searched(
    root: Client, settings: Any
) -> None:
    configure(settings, "a", "b")
    for alias, outcome in (("a", OK), ("b", "Unreachable"), ("c", "BadAnswer")):
        save_period(alias, outcome)

    def rows(query: str) -> set[str]:
        workspaces = root.get(f"{WORKSPACES}?{query}").context["cl"].queryset
        return set(workspaces.values_list("sync_status", flat=True))

    assert rows("sync_status=failing") == {"Unreachable", "BadAnswer"}
    assert rows("sync_status=BadAnswer") == {"BadAnswer"}
    assert rows("sync_status=nonsense") == set()
    assert rows("q=b") == {"Unreachable"}
    assert rows("") == {OK, "Unreachable", "BadAnswer"}
