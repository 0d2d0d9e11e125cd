"""`check_rocketchat` distinguishes problems and explains how to fix them."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from importmonitor.models import SyncPeriod
from importmonitor.models import Workspace as WorkspaceRow
from simulator.limiter import Limiter
from simulator.server import Server
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, USER_ID, configure

pytestmark = pytest.mark.django_db


def check(capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command; return its exit status, stdout and stderr."""
    status: Any = 0
    try:
        call_command("check_rocketchat")
    except SystemExit as error:
        status = error.code
    out, err = capsys.readouterr()
    assert AUTH_TOKEN not in out + err
    assert not SyncPeriod.objects.exists()
    assert not WorkspaceRow.objects.exists()
    return status, out, err


@pytest.mark.parametrize(
    ("era", "version"), [("5", "5."), ("6.14", "6."), ("7", "7."), ("8", "8.")]
)
def test_valid_workspace_passes_in_every_version(
    settings: Any, capsys: pytest.CaptureFixture[str], workspace: Workspace, era: str, version: str
) -> None:
    old = Workspace(workspace.clock, era=era, rate_limit=None)
    old.add_user(USER_ID, AUTH_TOKEN)
    with Server(old) as server:
        configure(settings, server.url)
        status, out, err = check(capsys)
    assert (status, err) == (0, "")
    assert "run-import: nothing was ever imported" in out
    assert "view-import-operations: 0 operations listed" in out
    assert "users.info: names of users can be read" in out
    assert f"Rocket.Chat {version}" in out


def test_current_operation_is_shown(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rocketchat.start_import("csv")
    assert "the current operation is CSV, importer_new" in check(capsys)[1]


@pytest.mark.parametrize("era", ["5", "7", "8"])
@pytest.mark.parametrize(
    ("permissions", "status", "words"),
    [
        (["run-import"], 0, "permission view-import-operations"),
        (["view-import-operations"], 1, "permission run-import"),
        ([], 1, "permission run-import"),
    ],
)
def test_missing_permission_is_named(
    settings: Any,
    capsys: pytest.CaptureFixture[str],
    workspace: Workspace,
    era: str,
    permissions: list[str],
    status: int,
    words: str,
) -> None:
    old = Workspace(workspace.clock, era=era, rate_limit=None)
    old.add_user(USER_ID, AUTH_TOKEN, permissions)
    with Server(old) as server:
        configure(settings, server.url)
        exit_status, out, err = check(capsys)
    assert exit_status == status
    assert words in out + err
    assert ("PermissionMissing" in err) == (status == 1)


def test_wrong_credentials_are_reported(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rocketchat.add_user(USER_ID, "another token")
    status, _, err = check(capsys)
    assert status == 1
    assert "Unauthenticated" in err
    assert "Check USER_ID and AUTH_TOKEN" in err


def test_two_factor_is_reported(rocketchat: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    rocketchat.add_user(USER_ID, AUTH_TOKEN, two_factor=True)
    status, _, err = check(capsys)
    assert status == 1
    assert "TwoFactorRequired" in err
    assert "Ignore Two Factor Authentication" in err


def test_rate_limit_is_reported(rocketchat: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    rocketchat.limiter = Limiter(1, rocketchat.clock)
    check(capsys)
    status, _, err = check(capsys)
    assert status == 1
    assert "RateLimited" in err
    assert "api-bypass-rate-limit" in err


def test_url_below_rocketchat_is_corrected(
    workspace: Workspace, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server({"/chat": workspace}) as server:
        configure(settings, f"{server.url}/chat/admin/import")
        status, out, err = check(capsys)
    assert status == 1
    assert "NotRocketChat" in err
    assert f"Rocket.Chat responds at {server.url}/chat : set the URL to that." in out


def test_url_without_rocketchat_gets_no_suggestion(
    workspace: Workspace, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server({"/elsewhere": workspace}) as server:
        configure(settings, f"{server.url}/chat")
        status, out, err = check(capsys)
    assert status == 1
    assert "did you mean" in err
    assert "Rocket.Chat responds at" not in out


def test_tls_error_is_reported(
    workspace: Workspace, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(workspace) as server:
        configure(settings, server.url.replace("http://", "https://"))
        status, _, err = check(capsys)
    assert status == 1
    assert "TLS" in err
    assert "is it an http:// address?" in err


def test_unreadable_list_is_a_problem(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importmonitor.rocketchat import client
    from importmonitor.rocketchat.exceptions import BadAnswer

    def refuse(_self: client.Client) -> None:
        raise BadAnswer("default: no list")

    monkeypatch.setattr(client.Client, "latest_operations", refuse)
    status, _, err = check(capsys)
    assert (status, err) == (1, "  problem  BadAnswer: default: no list\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3600, "1 h 0 min ahead of"),
        (-540, "9 min behind"),
        (62, "1 min ahead of"),
        (30, None),
        (0, None),
        # More than a clock can be wrong: the header is not Rocket.Chat's.
        (172_800, None),
    ],
)
def test_wrong_clock_is_noted(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str], seconds: int, words: str | None
) -> None:
    rocketchat.clock_offset = timedelta(seconds=seconds)
    with time_machine.travel(rocketchat.clock.now(), tick=False):
        status, out, err = check(capsys)
    assert (status, err) == (0, "")
    notes = [line for line in out.splitlines() if "clock" in line]
    assert notes == (
        []
        if words is None
        else [f"  note     Rocket.Chat's clock is {words} this server's; times are corrected."]
    )


def test_hidden_version_is_no_problem(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importmonitor.rocketchat import client
    from importmonitor.rocketchat.exceptions import NotRocketChat

    def refuse(_self: client.Client) -> None:
        raise NotRocketChat("closed")

    monkeypatch.setattr(client.Client, "version", refuse)
    status, out, _ = check(capsys)
    assert status == 0
    assert "version unknown" in out


def test_missing_configuration_exits_with_2(settings: Any) -> None:
    settings.IMPORTMONITOR = {}
    with pytest.raises(CommandError, match="No workspace is configured") as error:
        call_command("check_rocketchat")
    assert error.value.returncode == 2


def test_unreadable_names_are_a_note(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    rocketchat.people.clear()
    status, out, err = check(capsys)
    assert (status, err) == (0, "")
    assert "User not found." in out
    assert "Without names, imports show the ids of their users." in out
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "USER_NAMES": False}
    assert "users.info" not in check(capsys)[1]
