"""The button “Sync now” polls every workspace and shows the results."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import responses
from django.db.models import F
from django.test import Client
from django.utils import timezone

from importmonitor.choices import EMPTY
from importmonitor.models import ImportOperation, SyncPeriod, Workspace
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, SYNC, messages, page
from tests.api.helpers import PATH, RUNNING, make_user, workspace_at

URL = "http://127.0.0.1:9" + PATH
pytestmark = pytest.mark.usefixtures("patient_sync")


@pytest.fixture
def remote() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("run-import")


def press(client: Client, after: timedelta = timedelta(minutes=1)) -> list[tuple[str, str]]:
    """Press the button some time after the last poll; return the messages of the next page."""
    Workspace.objects.update(last_polled_at=F("last_polled_at") - after)
    response = client.post(SYNC, follow=True)
    assert response.redirect_chain == [(HISTORY, 302)]
    assert response.status_code == 200
    return messages(response)


def test_new_import_is_saved_and_reported(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, json={"operation": RUNNING, "success": True})
    [(level, text)] = press(client)
    assert level == "success"
    assert "default" in text
    assert "nothing new" not in text
    assert ImportOperation.objects.get().remote_id == RUNNING["_id"]


def test_button_returns_to_the_filtered_list(
    client: Client, remote: responses.RequestsMock
) -> None:
    remote.get(URL, json={"success": True})
    query = "?outcome=failed&q=a%26b"
    [action] = [
        action for action in page(client.get(HISTORY + query)).actions if action.startswith(SYNC)
    ]
    response = client.post(action)
    assert (response.status_code, response["Location"]) == (302, HISTORY + query)


def test_unchanged_import_is_reported_as_nothing_new(
    client: Client, remote: responses.RequestsMock
) -> None:
    remote.get(URL, json={"operation": RUNNING, "success": True})
    remote.get(URL.replace("Current", "Latest").replace("Operation", "Operations"), json=[RUNNING])
    name = {"user": {"name": "Ada Lovelace"}, "success": True}
    remote.get(URL.replace("getCurrentImportOperation", "users.info"), json=name)
    press(client)
    [(level, text)] = press(client)
    assert level == "success"
    assert "nothing new" in text
    # The list and the name of the user are fetched once, since the operation was new.
    paths = [call.request.path_url.partition("?")[0] for call in remote.calls]
    assert [path.rpartition("/")[2] for path in paths] == [
        "getCurrentImportOperation",
        "getLatestImportOperations",
        "users.info",
        "getCurrentImportOperation",
    ]


def test_workspace_without_imports_is_a_success(
    client: Client, remote: responses.RequestsMock
) -> None:
    remote.get(URL, json={"success": True})
    [(level, _)] = press(client)
    assert level == "success"
    assert SyncPeriod.objects.get().outcome == EMPTY


def test_workspace_that_another_process_syncs_is_skipped(
    client: Client, remote: responses.RequestsMock
) -> None:
    soon = timezone.now() + timedelta(seconds=30)
    Workspace.objects.create(alias="default", holder="another", expires_at=soon)
    [(level, text)] = press(client)
    assert level == "info"
    assert "Another process is syncing default." in text
    assert len(remote.calls) == 0


def test_rate_limited_workspace_is_skipped_until_it_may_be_polled(
    client: Client, remote: responses.RequestsMock
) -> None:
    remote.get(
        URL,
        status=429,
        json={
            "success": False,
            "error": "Error, too many requests. Please slow down. You must wait 42 seconds before "
            "trying this endpoint again. [error-too-many-requests]",
        },
    )
    [(level, text)] = press(client)
    assert level == "error"
    assert "429" in text
    [(level, text)] = press(client)
    assert level == "warning"
    assert "default can be synced again in 4" in text
    assert len(remote.calls) == 1


def test_workspace_is_polled_at_most_once_in_15_seconds(
    client: Client, remote: responses.RequestsMock
) -> None:
    remote.get(URL, json={"success": True})
    press(client)
    for seconds in (0, 5):
        [(level, text)] = press(client, timedelta(seconds=seconds))
        assert level == "info"
        assert "default was polled less than 15 seconds ago" in text
    assert len(remote.calls) == 1
    assert press(client, timedelta(seconds=10))[0][0] == "success"
    assert len(remote.calls) == 2


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("seconds", [60, 3600, 400 * 86400])
def test_poll_of_the_future_blocks_nothing(
    client: Client, remote: responses.RequestsMock, seconds: int
) -> None:
    remote.get(URL, json={"success": True})
    ahead = timezone.now() + timedelta(seconds=seconds)
    Workspace.objects.create(alias="default", last_polled_at=ahead)
    assert press(client, timedelta(0))[0][0] == "success"
    assert Workspace.objects.filter(last_polled_at__lt=ahead).exists()


def test_error_says_what_to_do(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, status=401, json={"status": "error", "message": "You must be logged in."})
    [(level, text)] = press(client)
    assert level == "error"
    assert "default" in text
    assert "Check USER_ID and AUTH_TOKEN" in text
    assert not ImportOperation.objects.exists()


def test_unreachable_workspace_is_an_error(client: Client, remote: responses.RequestsMock) -> None:
    [(level, text)] = press(client)
    assert level == "error"
    assert "default" in text


def test_error_is_escaped(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, status=400, json={"success": False, "error": "<script>alert(1)</script>"})
    response = client.post(SYNC, follow=True)
    [(level, text)] = messages(response)
    assert level == "error"
    assert "<script>alert(1)</script>" in text
    assert b"<script>alert" not in response.content


def test_failing_workspace_does_not_keep_the_others_from_being_synced(
    client: Client, remote: responses.RequestsMock, settings: Any
) -> None:
    aliases = ("acme", "globex", "initech")
    urls = {alias: f"http://127.0.0.1:9/{alias}" for alias in aliases}
    settings.IMPORTMONITOR = {
        "WORKSPACES": {alias: workspace_at(url) for alias, url in urls.items()}
    }
    remote.get(urls["acme"] + PATH, json={"operation": RUNNING, "success": True})
    remote.get(urls["globex"] + PATH, body="<html>", content_type="text/html")
    remote.get(urls["initech"] + PATH, json={"operation": RUNNING, "success": True})
    shown = press(client)
    assert [level for level, _ in shown] == ["success", "error", "success"]
    assert all(alias in text for alias, (_, text) in zip(aliases, shown, strict=True))
    assert ImportOperation.objects.count() == 2


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize(
    ("invalid", "level", "words"),
    [
        ({"WORKSPACES": {}}, "warning", "No Rocket.Chat workspace is configured"),
        ({}, "warning", "No Rocket.Chat workspace is configured"),
        ({"WORKSPACES": {"default": {"URL": "https://chat.example.org"}}}, "error", "USER_ID"),
        # Its groups cannot be read, so that only superusers see it.
        ({"WORKSPACES": {"default": 7}}, "warning", "There is no workspace that you may see"),
        ({"WORKSPACES": "no.such.callable"}, "error", "WORKSPACES"),
        ({"TYPO": {}}, "error", "TYPO"),
        (7, "error", "IMPORTMONITOR"),
    ],
)
def test_invalid_settings_are_a_message(
    client: Client,
    remote: responses.RequestsMock,
    settings: Any,
    invalid: object,
    level: str,
    words: str,
) -> None:
    settings.IMPORTMONITOR = invalid
    [(shown_level, text)] = press(client)
    assert shown_level == level
    assert words in text


def test_only_post_is_allowed(client: Client, remote: responses.RequestsMock) -> None:
    for method in ("get", "head", "put", "delete", "options"):
        response = getattr(client, method)(SYNC)
        assert response.status_code == 405
        assert response["Allow"] == "POST"
    assert len(remote.calls) == 0
    assert not SyncPeriod.objects.exists()


def test_csrf_token_is_required(remote: responses.RequestsMock) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("someone", "run-import", is_staff=True))
    assert client.post(SYNC).status_code == 403
    assert len(remote.calls) == 0
    history = client.get(HISTORY)
    remote.get(URL, json={"success": True})
    token = history.context["csrf_token"]
    assert client.post(SYNC, {"csrfmiddlewaretoken": str(token)}).status_code == 302
    assert len(remote.calls) == 1
