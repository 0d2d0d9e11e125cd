"""`manage.py create_api_token`."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from importmonitor.management.commands.create_api_token import Command
from importmonitor.models import ApiToken
from tests.api.helpers import NOON, PATH, RUNNING, make_user, sync

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(tool: User) -> Run:
    """Return a function that runs the command and returns its stdout and stderr."""

    def run(*arguments: str) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("create_api_token", *arguments, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    return run


def test_text_output_has_the_headers(run: Run, tool: User, client: Client) -> None:
    out, err = run("tool")
    headers = dict(line.split(": ") for line in out.splitlines())
    assert headers.keys() == {"X-User-Id", "X-Auth-Token"}
    assert headers["X-User-Id"] == str(tool.pk)
    assert "shown only once" in err
    assert headers["X-Auth-Token"] not in err
    sync(RUNNING)
    assert client.get(PATH, headers=headers).status_code == 200


def test_json_output_has_the_token(run: Run, tool: User, client: Client) -> None:
    out, err = run("tool", "--format", "json")
    output = json.loads(out)
    assert out.count("\n") == 1
    assert output == {
        "user_id": str(tool.pk),
        "token": output["token"],
        "name": "",
        "expires_at": None,
        "workspaces": None,
    }
    assert err == ""
    headers = {"X-User-Id": output["user_id"], "X-Auth-Token": output["token"]}
    sync(RUNNING)
    assert client.get(PATH, headers=headers).status_code == 200


def test_name_and_expiry_are_stored(run: Run) -> None:
    with time_machine.travel(NOON, tick=False):
        out, _ = run("tool", "--name", "Grafana 🎉", "--days", "30", "--format", "json")
    output = json.loads(out)
    assert output["name"] == "Grafana 🎉"
    assert datetime.fromisoformat(output["expires_at"]) == NOON + timedelta(days=30)
    token = ApiToken.objects.get()
    assert (token.name, token.expires_at) == ("Grafana 🎉", NOON + timedelta(days=30))
    with time_machine.travel(NOON, tick=False):
        _, err = run("tool", "--days", "1")
    assert "until 2026-03-26" in err


def test_token_can_be_limited_to_workspaces(run: Run, settings: Any) -> None:
    options = settings.IMPORTMONITOR["WORKSPACES"]["default"]
    limited = {**options, "GROUPS": ["acme-ops"]}
    settings.IMPORTMONITOR = {
        "WORKSPACES": {"default": options, "acme": limited, "globex": options}
    }
    arguments = ("--workspace", "globex", "--workspace", "acme", "--workspace", "globex")
    out, err = run("tool", *arguments, "--format", "json")
    assert json.loads(out)["workspaces"] == ["acme", "globex"]
    assert ApiToken.objects.get().workspaces == ["acme", "globex"]
    assert err == "The user is in no group that may see acme.\n"
    with pytest.raises(CommandError, match=r"There is no workspace 'initech'\.") as caught:
        run("tool", "--workspace", "acme", "--workspace", "initech")
    assert caught.value.returncode == 2
    assert ApiToken.objects.count() == 1


def test_every_run_creates_a_token(run: Run) -> None:
    tokens = {json.loads(run("tool", "--format", "json")[0])["token"] for _ in range(3)}
    assert len(tokens) == ApiToken.objects.count() == 3


def test_only_a_digest_is_stored(run: Run) -> None:
    text = json.loads(run("tool", "--format", "json")[0])["token"]
    secret = text[ApiToken.PREFIX_LENGTH :]
    assert len(secret) >= 43  # 256 bits of chance
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows = cursor.fetchall()
            assert secret not in str(rows), table
    assert len(ApiToken.objects.get().digest) == 64


@pytest.mark.parametrize("username", ["nobody", "", "toolbox", "ü", "\udcff"])
def test_unknown_user_is_an_error(run: Run, username: str) -> None:
    with pytest.raises(CommandError, match="There is no user") as caught:
        run(username)
    assert caught.value.returncode == 1
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    "days",
    [
        *("0", "-1", "1.5", "", "ten", "1e3", "٣", "36526"),
        "9" * 20,
        "1" * 5_000,
        # More than a datetime can be moved by, behind zeros.
        "0000000019999999999",
    ],
    ids=lambda days: days[:20],
)
def test_invalid_days_are_a_usage_error(capsys: pytest.CaptureFixture[str], days: str) -> None:
    with pytest.raises(SystemExit) as caught:
        Command().run_from_argv(["manage.py", "create_api_token", "tool", f"--days={days}"])
    assert caught.value.code == 2
    assert "number of days from 1 to 36525" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["tool", "--format", "xml"], ["tool", "--frob"]])
def test_invalid_arguments_are_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Command().run_from_argv(["manage.py", "create_api_token", *arguments])
    assert caught.value.code == 2


def test_maximum_days_are_accepted(run: Run) -> None:
    run("tool", "--days", "36525")
    assert ApiToken.objects.get().expires_at is not None


def test_too_long_name_is_an_error(run: Run) -> None:
    run("tool", "--name", "n" * 100)
    with pytest.raises(CommandError, match="at most 100 characters") as caught:
        run("tool", "--name", "n" * 101)
    assert caught.value.returncode == 2
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_user_without_permission_is_a_warning(run: Run, form: str) -> None:
    make_user("stranger", "change_importoperation")
    out, err = run("stranger", "--format", form)
    assert "may not see imports" in err
    assert "importmonitor.run-import" in err
    assert "importmonitor.view_importoperation" in err
    assert "may not" not in out
    assert "may not" not in run("tool", "--format", form)[1]


@pytest.mark.parametrize(
    ("codename", "opens"),
    [
        ("view_importoperation", "The token gives access to the REST API."),
        (
            "view-import-operations",
            "The token gives access to the REST API and getLatestImportOperations.",
        ),
    ],
)
def test_other_permissions_are_explained(run: Run, codename: str, opens: str) -> None:
    make_user("reader", codename)
    _, err = run("reader")
    assert "may not" not in err
    assert opens in err
    assert "would need importmonitor.run-import" in err
    assert run("reader", "--format", "json")[1] == ""
    assert "would need" not in run("tool")[1]


def test_inactive_user_is_a_warning(run: Run) -> None:
    make_user("gone", "run-import", is_active=False)
    assert "inactive" in run("gone", "--format", "json")[1]
