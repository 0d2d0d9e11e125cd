"""The project's settings: from the environment, from files, and their errors."""

import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.exceptions import ImproperlyConfigured

from importmonitor.sync.pool import CONCURRENCY

SETTINGS = Path(__file__).parent.parent / "project" / "settings.py"


pytestmark = pytest.mark.usefixtures("empty_environment")


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


def test_defaults_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch)
    assert values["DEBUG"] is False
    assert values["SECURE_SSL_REDIRECT"] is True
    assert values["SESSION_COOKIE_SECURE"] is values["CSRF_COOKIE_SECURE"] is True
    assert values["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert values["IMPORTMONITOR"] == {"WORKSPACES": {}, "CHANNELS": {}}
    # No passwords: they could be guessed at the rate of an API.
    authenticators = values["REST_FRAMEWORK"]["DEFAULT_AUTHENTICATION_CLASSES"]
    assert authenticators == ["rest_framework.authentication.SessionAuthentication"]
    database = values["DATABASES"]["default"]
    assert database["NAME"] == str(SETTINGS.parent.parent / "db.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert database["OPTIONS"]["timeout"] > 5


def test_three_variables_make_a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(
        monkeypatch,
        ROCKETCHAT_URL="https://chat.example.org",
        ROCKETCHAT_USER_ID="me",
        ROCKETCHAT_AUTH_TOKEN="hush",
    )
    assert values["IMPORTMONITOR"]["WORKSPACES"] == {
        "default": {"URL": "https://chat.example.org", "USER_ID": "me", "AUTH_TOKEN": "hush"}
    }


def test_several_workspaces_and_all_options_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(
        monkeypatch,
        ROCKETCHAT_WORKSPACES="acme, globex-eu",
        ROCKETCHAT_ACME_URL="https://acme.example",
        ROCKETCHAT_ACME_LOG_URL="https://logs.example/{id}",
        ROCKETCHAT_GLOBEX_EU_URL="http://globex.example",
        ROCKETCHAT_GLOBEX_EU_ALLOW_HTTP="yes",
        ROCKETCHAT_GLOBEX_EU_TIMEOUT="2.5",
        ROCKETCHAT_GLOBEX_EU_DEADLINE="soon",
        ROCKETCHAT_GLOBEX_EU_CA_BUNDLE="/etc/ca.pem",
    )
    assert values["IMPORTMONITOR"]["WORKSPACES"] == {
        "acme": {"URL": "https://acme.example", "LOG_URL": "https://logs.example/{id}"},
        "globex-eu": {
            "URL": "http://globex.example",
            "ALLOW_HTTP": True,
            "TIMEOUT": 2.5,
            # Reported by the system check, which names the workspace.
            "DEADLINE": "soon",
            "CA_BUNDLE": "/etc/ca.pem",
        },
    }


def test_variable_can_be_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush\n")
    values = read(monkeypatch, ROCKETCHAT_AUTH_TOKEN_FILE=str(tmp_path / "token"))
    assert values["WORKSPACES"]["default"]["AUTH_TOKEN"] == "hush"
    with pytest.raises(ImproperlyConfigured, match=r"ROCKETCHAT_URL_FILE cannot be read: No such"):
        read(monkeypatch, ROCKETCHAT_URL_FILE=str(tmp_path / "nowhere"))


def test_env_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("ROCKETCHAT_URL=https://a.example\nALLOWED_HOSTS=a.example,b\n")
    values = read(monkeypatch, ENV_FILE=str(tmp_path / "env"))
    assert values["WORKSPACES"]["default"]["URL"] == "https://a.example"
    assert values["ALLOWED_HOSTS"] == ["a.example", "b"]


def test_duration_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch, IMPORTMONITOR_UNREACHABLE_AFTER="90")
    assert values["IMPORTMONITOR"]["UNREACHABLE_AFTER"] == timedelta(seconds=90)
    values = read(monkeypatch, IMPORTMONITOR_UNREACHABLE_AFTER="a while")
    assert values["IMPORTMONITOR"]["UNREACHABLE_AFTER"] == "a while"


@pytest.mark.parametrize("value", ["inf", "nan", "1e300"])
def test_infinite_duration_is_left_to_the_checks(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    values = read(monkeypatch, IMPORTMONITOR_STALLED_AFTER=value)
    assert isinstance(values["IMPORTMONITOR"]["STALLED_AFTER"], float)


@pytest.mark.parametrize("key", ["PUBLIC_SCHEMA", "USER_NAMES"])
def test_switch_is_on_or_off(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert key not in read(monkeypatch)["IMPORTMONITOR"]
    name = f"IMPORTMONITOR_{key}"
    for text, value in (("on", True), ("off", False)):
        assert read(monkeypatch, **{name: text})["IMPORTMONITOR"][key] is value
    with pytest.raises(ImproperlyConfigured, match=name):
        read(monkeypatch, **{name: "maybe"})


def test_heartbeat_url_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "HEARTBEAT_URL" not in read(monkeypatch, IMPORTMONITOR_HEARTBEAT_URL="")["IMPORTMONITOR"]
    url = "https://hc-ping.com/hush"
    settings = read(monkeypatch, IMPORTMONITOR_HEARTBEAT_URL=url)["IMPORTMONITOR"]
    assert settings["HEARTBEAT_URL"] == url
    assert "hush" not in repr(settings)


def test_days_are_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch, IMPORTMONITOR_KEEP_DAYS="365", IMPORTMONITOR_KEEP_SAMPLES_DAYS="1.5")
    assert values["IMPORTMONITOR"]["KEEP_DAYS"] == 365
    assert values["IMPORTMONITOR"]["KEEP_SAMPLES_DAYS"] == 1.5


def test_metrics_have_a_limit_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"METRICS_LIMIT", "METRICS_WORKSPACES"} & set(read(monkeypatch)["IMPORTMONITOR"])
    variables = {"LIMIT": "200", "WORKSPACES": "acme, globex-*"}
    values = read(
        monkeypatch, **{f"IMPORTMONITOR_METRICS_{name}": text for name, text in variables.items()}
    )
    assert values["IMPORTMONITOR"]["METRICS_LIMIT"] == 200
    assert isinstance(values["IMPORTMONITOR"]["METRICS_LIMIT"], int)
    assert values["IMPORTMONITOR"]["METRICS_WORKSPACES"] == ["acme", "globex-*"]


def test_every_address_is_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(
        monkeypatch,
        IMPORTMONITOR_ALERT_EMAILS="ops@example.org, boss@example.org",
        IMPORTMONITOR_ALERT_URLS="slack://a/b/c/#x,#y, jsons://hooks.example.org/import",
        IMPORTMONITOR_BASE_URL="https://imports.example.org",
    )["IMPORTMONITOR"]
    assert values["BASE_URL"] == "https://imports.example.org"
    kinds = [name.partition("-")[0] for name in values["CHANNELS"]]
    assert kinds == ["email", "email", "url", "url"]
    ops, boss, slack, hook = values["CHANNELS"].values()
    assert (ops["TO"], boss["TO"]) == (["ops@example.org"], ["boss@example.org"])
    assert slack["URL"] == "slack://a/b/c/#x,#y"
    assert hook["URL"] == "jsons://hooks.example.org/import"
    assert "DIGEST" not in ops
    # A channel keeps its name when another is removed: pending alerts refer to it.
    remaining = read(
        monkeypatch,
        IMPORTMONITOR_ALERT_EMAILS="boss@example.org",
        IMPORTMONITOR_ALERT_URLS="",
    )["IMPORTMONITOR"]["CHANNELS"]
    assert remaining == {list(values["CHANNELS"])[1]: boss}
    weekly = read(monkeypatch, IMPORTMONITOR_ALERT_DIGEST="weekly")["IMPORTMONITOR"]["CHANNELS"]
    assert list(weekly.values()) == [boss | {"DIGEST": "weekly"}]


@pytest.mark.skipif(django.VERSION >= (6, 1), reason="Django 6.1 has MAILERS instead")
def test_email_url_sets_the_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch, EMAIL_URL="smtp+tls://me:hush@mail.example.org:587")
    assert (values["EMAIL_HOST"], values["EMAIL_PORT"]) == ("mail.example.org", 587)
    assert (values["EMAIL_HOST_USER"], values["EMAIL_HOST_PASSWORD"]) == ("me", "hush")
    assert (values["EMAIL_USE_TLS"], values["EMAIL_TIMEOUT"]) == (True, 10)
    assert read(monkeypatch, EMAIL_URL="consolemail://")["EMAIL_BACKEND"].endswith(
        "console.EmailBackend"
    )


@pytest.mark.skipif(django.VERSION < (6, 1), reason="new in Django 6.1")
def test_email_url_sets_the_mailer(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch, EMAIL_URL="smtp+tls://me:hush@mail.example.org:587")
    assert values["MAILERS"]["default"]["OPTIONS"] == {
        "host": "mail.example.org",
        "port": 587,
        "username": "me",
        "password": "hush",
        "use_tls": True,
        "timeout": 10,
    }
    values = read(monkeypatch, EMAIL_URL="consolemail://")
    assert values["MAILERS"]["default"]["OPTIONS"] == {}


@pytest.mark.skipif(django.VERSION >= (6, 1), reason="has MAILERS instead")
def test_email_url_of_files_is_an_absolute_path(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch, EMAIL_URL="filemail:///var/mail/importmonitor")
    assert values["EMAIL_BACKEND"].endswith(".filebased.EmailBackend")
    assert values["EMAIL_FILE_PATH"] == "/var/mail/importmonitor"


@pytest.mark.parametrize("url", ["nonsense", "pigeon://me:hush@mail", "smtp://me:hush@mail:x"])
def test_unreadable_email_url_is_not_in_the_error(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL cannot be read") as error:
        read(monkeypatch, EMAIL_URL=url)
    assert "hush" not in str(error.value)


def test_debug_relaxes_the_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    values = read(monkeypatch, DEBUG="on")
    assert (values["DEBUG"], values["SECURE_SSL_REDIRECT"]) == (True, False)
    assert values["SESSION_COOKIE_SECURE"] is values["CSRF_COOKIE_SECURE"] is False
    assert values["SECURE_HSTS_SECONDS"] == 0
    with pytest.raises(ImproperlyConfigured, match="DEBUG is 'perhaps': set it to on or off"):
        read(monkeypatch, DEBUG="perhaps")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
        read(monkeypatch, DEBUG="off")


@pytest.mark.parametrize(
    "url", ["postgres://me:hush@db.example/name", "mysql://me:hush@db.example/name"]
)
def test_database_connections_are_persistent(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    database = read(monkeypatch, DATABASE_URL=url)["DATABASES"]["default"]
    assert database["HOST"] == "db.example"
    assert database["CONN_MAX_AGE"] > 0
    assert database["CONN_HEALTH_CHECKS"] is True
    assert "OPTIONS" not in database


def test_database_password_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    url, password = "postgres://me:other@db.example/name", "a/b?c#d@e%2F"
    database = read(monkeypatch, DATABASE_URL=url, DATABASE_PASSWORD=password)["DATABASES"]
    assert database["default"]["PASSWORD"] == password
    assert password not in repr(database)


def test_only_collected_static_files_need_a_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(monkeypatch)
    assert "STORAGES" not in values
    assert values["WHITENOISE_USE_FINDERS"] is True
    monkeypatch.setattr("sys.argv", ["manage.py", "collectstatic"])
    values = read(monkeypatch)
    assert "Manifest" in values["STORAGES"]["staticfiles"]["BACKEND"]
    assert "WHITENOISE_USE_FINDERS" not in values


def test_postgresql_can_use_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgres://me:hush@db.example/name?pool=true"
    database = read(monkeypatch, DATABASE_URL=url)["DATABASES"]["default"]
    # A polling thread keeps its connection during the request.
    assert database["OPTIONS"]["pool"]["max_size"] > CONCURRENCY
    assert database["CONN_HEALTH_CHECKS"] is True
    # Django does not allow both.
    assert "CONN_MAX_AGE" not in database


@pytest.mark.parametrize("value", ["soon", "0", "-60", "nan", "inf"])
def test_invalid_celery_interval_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="CELERY_SYNC_EVERY"):
        read(monkeypatch, CELERY_SYNC_EVERY=value)


@pytest.mark.parametrize("url", ["nonsense", "oracel://me:hush@db", "postgres://me:hush@db:x/y"])
def test_unreadable_database_url_is_not_in_the_error(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL cannot be read") as error:
        read(monkeypatch, DATABASE_URL=url)
    assert "hush" not in str(error.value)
    assert error.value.__cause__ is None


def test_groups_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    values = read(
        monkeypatch,
        ROCKETCHAT_URL="https://a.example",
        ROCKETCHAT_GROUPS="acme-ops, Chat admins",
        ROCKETCHAT_WORKSPACES="acme,globex",
        ROCKETCHAT_ACME_GROUPS="acme-ops",
        ROCKETCHAT_GLOBEX_GROUPS=",",
    )["WORKSPACES"]
    assert values["default"]["GROUPS"] == ["acme-ops", "Chat admins"]
    assert values["acme"]["GROUPS"] == ["acme-ops"]
    # Not everybody: it was meant to be limited.
    assert values["globex"]["GROUPS"] == []
    assert "GROUPS" not in read(monkeypatch, ROCKETCHAT_GROUPS="")["WORKSPACES"].get("default", {})
