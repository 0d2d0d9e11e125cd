"""What the admin's pages do for users from whom workspaces are hidden."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import responses
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from importmonitor.admin import weeks
from importmonitor.models import ImportOperation, Viewer, Workspace
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, SYNC, change_url, make_row, messages, page
from tests.admin.workspace_states import WORKSPACES, configure
from tests.api.helpers import NOON, PATH, RUNNING, make_user, sync, workspace_at
from tests.group_sets import store_groups

OPEN, HUSH = "http://open.example", "http://hush.example"


@pytest.fixture(autouse=True)
def _two_workspaces(settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "open": {**workspace_at(OPEN), "ALLOW_HTTP": True},
            "hush": {**workspace_at(HUSH), "ALLOW_HTTP": True, "GROUPS": ["confidants"]},
        }
    }


@pytest.fixture
def outsider(log_in: LogIn) -> Client:
    return log_in("run-import", "change_importoperation")


@pytest.fixture
def remote() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.mark.usefixtures("patient_sync")
def test_sync_now_polls_visible_workspaces_alone(
    outsider: Client, remote: responses.RequestsMock
) -> None:
    # A request to the other one would be an error.
    remote.get(OPEN + PATH, json={"success": True})
    shown = outsider.post(SYNC, follow=True)
    [(level, text)] = messages(shown)
    assert (level, "open" in text) == ("success", True)
    polled = Workspace.objects.exclude(last_polled_at=None)
    assert set(polled.values_list("alias", flat=True)) == {"open"}


def test_progress_of_a_sync_counts_visible_workspaces_alone(outsider: Client) -> None:
    now = timezone.now()
    hush = Workspace.objects.create(
        alias="hush",
        groups=store_groups(["confidants"]),
        last_polled_at=now,
        sync_status="Unreachable",
    )
    session = outsider.session
    session["importmonitor_sync"] = {
        "since": (now - timedelta(seconds=15)).isoformat(),
        "ends_at": (now + timedelta(minutes=2)).isoformat(),
        # The other one was hidden after the sync began.
        "keys": [Workspace.objects.create(alias="open").pk, hush.pk],
        "of": 2,
    }
    session.save()
    assert "Syncing 2 workspaces: 0 done." in page(outsider.get(HISTORY)).words
    Workspace.objects.filter(alias="open").update(last_polled_at=now, sync_status="ok")
    assert "Syncing 2 workspaces: 1 done." in page(outsider.get(HISTORY)).words


def test_mistakes_in_the_settings_are_not_shown_while_they_may_name_hidden_workspaces(
    outsider: Client, root: Client, settings: Any
) -> None:
    settings.IMPORTMONITOR["WORKSPACES"]["hush"]["TIMEOUT"] = "soon"
    mistake = "The TIMEOUT of the workspace 'hush'"
    Workspace.objects.create(alias="hush", groups=store_groups(["confidants"]))
    for client, is_shown in ((outsider, False), (root, True)):
        for response in (client.get(HISTORY), client.post(SYNC, follow=True)):
            assert (mistake in page(response).words) == is_shown
            assert ("hush" in response.content.decode()) == is_shown
    # Where the mistakes are elsewhere, nothing is polled.
    settings.IMPORTMONITOR["STALLED_AFTER"] = "soon"
    for client, text in ((outsider, "manage.py check"), (root, "STALLED_AFTER")):
        [(level, message)] = messages(client.post(SYNC, follow=True))
        assert (level, text in message) == ("error", True)


def test_user_who_sees_no_workspace_is_told_so(outsider: Client, settings: Any) -> None:
    del settings.IMPORTMONITOR["WORKSPACES"]["open"]
    Workspace.objects.create(alias="hush", groups=store_groups(["confidants"]))
    for response in (
        outsider.get(HISTORY),
        outsider.get(WORKSPACES),
        outsider.post(SYNC, follow=True),
    ):
        assert "There is no workspace that you may see." in page(response).words
        assert "configured" not in page(response).words
    assert "Imports :" not in page(outsider.get("/admin/")).words


def test_mistakes_in_the_settings_are_shown_to_all_while_nothing_is_hidden(
    outsider: Client, settings: Any
) -> None:
    del settings.IMPORTMONITOR["WORKSPACES"]["hush"]["GROUPS"]
    settings.IMPORTMONITOR["WORKSPACES"]["hush"]["TIMEOUT"] = "soon"
    assert "The TIMEOUT of the workspace 'hush'" in page(outsider.get(HISTORY)).words


def test_new_limit_holds_at_once_for_pages_and_from_the_next_poll_for_lists(
    outsider: Client, settings: Any
) -> None:
    limited = settings.IMPORTMONITOR
    configure(settings, "open", "hush")
    sync(RUNNING, alias="hush")
    operation, workspace = ImportOperation.objects.get(), Workspace.objects.get()
    assert outsider.get(change_url(operation)).status_code == 200
    settings.IMPORTMONITOR = limited
    for url in (change_url(operation), f"{WORKSPACES}{workspace.pk}/change/"):
        assert outsider.get(url).status_code == 302
        assert outsider.post(url, {"note": "mine"}).status_code in (302, 403)
    assert ImportOperation.objects.get().note == ""
    url = f"/api/import-operations/{operation.pk}/"
    for path in (url, f"{url}transitions/", f"{url}samples/"):
        assert outsider.get(path).status_code == 404
    assert len(page(outsider.get(HISTORY)).rows) == 1
    sync(RUNNING, alias="hush")
    assert page(outsider.get(HISTORY)).rows == []


def test_cached_weeks_are_those_of_the_viewers_groups(root: Client) -> None:
    past = NOON - timedelta(weeks=2)
    for number, alias in enumerate(("open", "hush")):
        make_row(number, workspace=alias, started_at=past, end_reason="done").save()
    Workspace.objects.create(alias="hush", groups=store_groups(["confidants"]))
    member = make_user("member")
    member.groups.add(Group.objects.create(name="confidants"))
    users = [User.objects.get(username="root"), member, make_user("outsider")]
    for _ in range(2):
        counts = [
            sum(
                sum(week.counts.values())
                for week in weeks.recent_weeks(Viewer(user), "", NOON.date())
            )
            for user in users
        ]
        assert counts == [2, 2, 1]
    Workspace.objects.create(alias="open", groups=store_groups(["confidants"]))
    outsider = Viewer(User.objects.get(username="outsider"))
    assert not any(
        sum(week.counts.values()) for week in weeks.recent_weeks(outsider, "", NOON.date())
    )
