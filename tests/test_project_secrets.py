"""The project's secrets: read as they are, and in no output, error page, mail or traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from importmonitor.secret import Secret, SecretMapping, hide
from tests.test_project_settings import read

ROOT = Path(__file__).parent.parent
#: Read by every variable that can hold a secret, under the names of its options.
DOLLARS = ("$", "$$", "$HOME", "$UNSET", "\\$", "${HOME}", "$a$b", "a$HOME")

#: Prints what the settings are, and all that shows settings or the environment.
SHOW = """
import json, logging, sys, traceback
import django
from django.conf import settings
django.setup()
from django.core.management import call_command
from django.test import RequestFactory, override_settings
from django.utils.log import AdminEmailHandler
from django.views.debug import technical_500_response

def fail():
    config, channels = settings.IMPORTMONITOR, settings.IMPORTMONITOR["CHANNELS"]
    database, key, broker = settings.DATABASES, settings.SECRET_KEY, settings.CELERY_BROKER_URL
    from importmonitor import conf
    workspace = conf.get_workspace("default")
    raise LookupError("the page")

import os
# Under runserver, META has the whole environment.
os.environ["DATABASE_URL"] = "postgres://me:hush-database@db.example/name"
request = RequestFactory().get("/", **os.environ)
try:
    fail()
except LookupError as error:
    caught = sys.exc_info()
    print("".join(traceback.TracebackException(*caught, capture_locals=True).format()))
for debug in (True, False):
    with override_settings(DEBUG=debug):
        for accept in ("text/html", "text/plain"):
            request.META["HTTP_ACCEPT"] = accept
            print(technical_500_response(request, *caught).content.decode())
handler = AdminEmailHandler(include_html=True)
handler.send_mail = lambda *texts, html_message, **_: print(*texts, html_message)
record = logging.LogRecord("django.request", logging.ERROR, "", 1, "failed", (), caught)
record.request = request
with override_settings(ADMINS=["a@b.example"]):
    handler.emit(record)
call_command("diffsettings")
call_command("diffsettings", output="unified", all=True)
print(repr(settings.DATABASES), repr(settings.IMPORTMONITOR))
"""

CREDENTIALS = {
    "SECRET_KEY": "hush-secret-key",
    "CELERY_BROKER_URL": "amqp://me:hush-broker@broker.example//",
    "EMAIL_URL": "smtp+tls://me:hush-mail@mail.example.org:587",
    "IMPORTMONITOR_ALERT_URLS": "slack://hush-slack/b/c/#x, json://me:hush-hook@a.example/hush",
    "IMPORTMONITOR_ALERT_EMAILS": "mailto://me:hush-address@mail.example",
    "ROCKETCHAT_URL": "https://chat.example.org",
    "ROCKETCHAT_USER_ID": "me",
    "ROCKETCHAT_AUTH_TOKEN": "hush-token",
    "ROCKETCHAT_WORKSPACES": "acme",
    "ROCKETCHAT_ACME_URL": "https://me:hush-url@acme.example",
    "ROCKETCHAT_ACME_AUTH_TOKEN": "hush-acme",
    "ROCKETCHAT_ACME_CA_BUNDLE": "-----BEGIN PRIVATE KEY-----\nhush-key",
    "ROCKETCHAT_ACME_TIMEOUT": "hush-time",
    "https_proxy": "http://me:hush-proxy@proxy.example:3128",
    "all_proxy": "http://me:hush/proxy@proxy.example:3128",
}


pytestmark = pytest.mark.usefixtures("empty_environment")


def run(script: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_settings_and_errors_show_no_secret() -> None:
    result = run(SHOW, CREDENTIALS)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "hush" not in result.stderr
    # What the secrets stand beside is shown.
    for words in ("mail.example.org", "the page", "IMPORTMONITOR", "smtp"):
        assert words in result.stdout
    lines = [line for line in result.stdout.splitlines() if "hush" in line]
    assert not lines, lines[:5]


def test_secret_works_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    url = "postgres://me:hush-database@db.example/name?sslpassword=hush-option"
    values = read(monkeypatch, **CREDENTIALS, DATABASE_URL=url)
    assert "hush" not in repr({name: values[name] for name in values if name.isupper()})
    assert values["SECRET_KEY"] == "hush-secret-key"
    database = values["DATABASES"]["default"]
    assert (database["PASSWORD"], database["OPTIONS"]["sslpassword"]) == (
        "hush-database",
        "hush-option",
    )
    assert values["CELERY_BROKER_URL"] == CREDENTIALS["CELERY_BROKER_URL"]
    _email, slack, hook = values["IMPORTMONITOR"]["CHANNELS"].values()
    assert slack["URL"] == "slack://hush-slack/b/c/#x"
    assert hook["URL"] == "json://me:hush-hook@a.example/hush"
    assert values["WORKSPACES"]["default"]["AUTH_TOKEN"] == "hush-token"
    assert values["mail"]["host_password"] == "hush-mail"


READ_ALL = """
import json
from django.conf import settings as s
print(json.dumps({
    "SECRET_KEY": s.SECRET_KEY,
    "ROCKETCHAT_AUTH_TOKEN": s.WORKSPACES["default"]["AUTH_TOKEN"],
    "ROCKETCHAT_USER_ID": s.WORKSPACES["default"]["USER_ID"],
    "ROCKETCHAT_ACME_AUTH_TOKEN": s.WORKSPACES["acme"]["AUTH_TOKEN"],
    "ROCKETCHAT_CA_BUNDLE": s.WORKSPACES["default"]["CA_BUNDLE"],
    "CELERY_BROKER_URL": s.CELERY_BROKER_URL,
    "IMPORTMONITOR_BASE_URL": s.IMPORTMONITOR["BASE_URL"],
    "IMPORTMONITOR_KEEP_DAYS": s.IMPORTMONITOR["KEEP_DAYS"],
    "DEFAULT_FROM_EMAIL": s.DEFAULT_FROM_EMAIL,
    "ALLOWED_HOSTS": s.ALLOWED_HOSTS[0],
    "LOG_LEVEL": s.LOGGING["loggers"]["importmonitor"]["level"],
}))
"""
DOLLAR_VARIABLES = {
    "SECRET_KEY": "$ECRET_KEY",
    "ROCKETCHAT_AUTH_TOKEN": "$HOME",
    "ROCKETCHAT_USER_ID": "$",
    "ROCKETCHAT_ACME_AUTH_TOKEN": "$$token$",
    "ROCKETCHAT_CA_BUNDLE": "${HOME}/ca.pem",
    "CELERY_BROKER_URL": "$SECRET_KEY",
    "IMPORTMONITOR_BASE_URL": "$BASE",
    "IMPORTMONITOR_KEEP_DAYS": "$30",
    "DEFAULT_FROM_EMAIL": "\\$me@example.org",
    "ALLOWED_HOSTS": "$ALLOWED_HOSTS",
    "LOG_LEVEL": "$DEBUG",
}


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("source", ["environment", "files", "env file"])
def test_value_that_starts_with_a_dollar_is_itself(source: str, tmp_path: Path) -> None:
    """In django-environ, such a value names another variable."""
    environment = dict(DOLLAR_VARIABLES) if source == "environment" else {}
    if source == "files":
        for name, value in DOLLAR_VARIABLES.items():
            (tmp_path / name).write_text(f"{value}\n")
            environment[f"{name}_FILE"] = str(tmp_path / name)
    if source == "env file":
        lines = [f"{name}={value}" for name, value in DOLLAR_VARIABLES.items()]
        (tmp_path / "env").write_text("\n".join(lines))
        environment["ENV_FILE"] = str(tmp_path / "env")
        environment["SECRET_KEY"] = DOLLAR_VARIABLES["SECRET_KEY"]
    environment["ROCKETCHAT_WORKSPACES"] = "acme"
    result = run(READ_ALL, environment)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == DOLLAR_VARIABLES


@pytest.mark.parametrize("value", DOLLARS)
def test_password_with_a_dollar_is_itself(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    values = read(
        monkeypatch,
        SECRET_KEY=value,
        ROCKETCHAT_AUTH_TOKEN=value,
        EMAIL_URL=f"smtp://me:{value}@mail.example",
        DATABASE_URL=f"postgres://me:{value}@db.example/name",
    )
    assert values["SECRET_KEY"] == values["WORKSPACES"]["default"]["AUTH_TOKEN"] == value
    assert values["mail"]["host_password"] == value
    assert values["DATABASES"]["default"]["PASSWORD"] == value


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (name, f"{scheme}://{credentials}@{host}")
        for name, scheme, host in (
            ("DATABASE_URL", "postgres", "db.example/name"),
            ("EMAIL_URL", "smtp", "mail.example"),
            ("CELERY_BROKER_URL", "redis", "broker.example/0"),
        )
        for credentials in (
            "me:hush/hush",
            "me:12/hush",
            "me:12?hush",
            "me:hu@sh/hush",
            "me:hush[",
        )
    ],
)
def test_url_that_would_show_its_password_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    """A part of it would be the name of the host, or of the database."""
    problem = None
    try:
        values = read(monkeypatch, **{name: url})
    except ImproperlyConfigured as error:
        problem = error
    if problem is None:
        assert "hush" not in repr({key: values[key] for key in values if key.isupper()})
        return
    assert f"{name} cannot be read" in str(problem)
    assert "hush" not in str(problem)
    assert problem.__context__ is None


def test_unreadable_line_of_the_env_file_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "env").write_text("# comment\n\nROCKETCHAT_AUTH_TOKEN = hush\nLOG_LEVEL=INFO\n")
    values = read(monkeypatch, ENV_FILE=str(tmp_path / "env"))
    assert values["LOGGING"]["loggers"]["importmonitor"]["level"] == "INFO"
    assert capfd.readouterr().err == (
        f"{tmp_path / 'env'}, line 3 is ignored: it is not NAME=value.\n"
    )


@pytest.mark.parametrize("name", ["ENV_FILE", "SECRET_KEY_FILE"])
def test_undecodable_file_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_bytes(b"SECRET_KEY=hush\xff\xfe")
    with pytest.raises(ImproperlyConfigured, match="it is not UTF-8") as caught:
        read(monkeypatch, **{name: str(tmp_path / "file")})
    assert caught.value.__context__ is None


# The types.


def test_repr_of_a_secret_hides_it() -> None:
    secret = Secret("hush")
    values: list[Any] = [secret, [secret], {"key": secret}, (secret,), {secret}, hide(b"hush")]
    values += [hide({"a": ["hush", ("hush", {"b": "hush"}), {"hush"}, b"hush"]})]
    values += [SecretMapping({"hush": {"hush": "hush"}})["hush"], SecretMapping({"a": "hush"})]
    for value in values:
        assert "hush" not in repr(value)
        assert "hush" not in f"{[value]}"
    assert repr(Secret("")) == "''"


def test_secret_is_equal_to_its_text() -> None:
    secret = Secret("hush")
    assert secret == "hush"
    assert hash(secret) == hash("hush")
    assert f"{secret}" == str(secret) == secret + "" == "hush"
    assert json.dumps({"a": secret}) == '{"a": "hush"}'
    assert type(str(secret)) is str
    value = {"a": ["hush", None, 1, True], "b": ("x", {"y"}), "c": b"z"}
    assert hide(value) == value
    assert SecretMapping(value)["a"] == value["a"]
