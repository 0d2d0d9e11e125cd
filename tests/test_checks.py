"""System checks: every mistake in the settings has an id and a hint."""

import errno
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from importmonitor import checks as our_checks
from importmonitor import conf
from importmonitor.models import charsets
from importmonitor.models.charsets import Column

# From Django 6.1 on, Django's check of JSON columns queries SQLite.
pytestmark = pytest.mark.django_db

VALID = {"URL": "https://chat.example.org", "USER_ID": "u", "AUTH_TOKEN": "hush-hush"}
NO_DICT = "tests.test_checks.no_dict"


def no_dict() -> int:
    return 3


def failing() -> dict[str, Any]:
    raise LookupError("no such tenant")


FAILING = {"WORKSPACES": "tests.test_checks.failing"}


def many() -> dict[str, Any]:
    return {f"tenant-{number}": VALID for number in range(3)}


def with_options(**options: Any) -> dict[str, Any]:
    return {"WORKSPACES": {"default": VALID | options}}


EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
APPRISE = "importmonitor.alerts.channels.AppriseChannel"


def with_setting(key: str, value: Any) -> dict[str, Any]:
    return {"WORKSPACES": {"default": VALID}, key: value}


def with_channel(options: Any, name: str = "ops") -> dict[str, Any]:
    return with_setting("CHANNELS", {name: options})


def run_checks() -> list[checks.CheckMessage]:
    """Return the messages of the app's checks, run as `manage.py check` runs them."""
    return [
        message
        for message in checks.run_checks()
        if (message.id or "").startswith("importmonitor.")
    ]


def test_valid_settings_give_no_message(settings: Any) -> None:
    settings.IMPORTMONITOR = with_options()
    assert run_checks() == []


@pytest.mark.parametrize(
    ("setting", "id_"),
    [
        (["WORKSPACES"], "E001"),
        ({"WORKSPACES": {"default": VALID}, "WORKSPACE": {}}, "E002"),
        ({"WORKSPACES": {"default": VALID}, 3: {}}, "E002"),
        ({"WORKSPACES": [VALID]}, "E003"),
        ({"WORKSPACES": None}, "E003"),
        ({"WORKSPACES": "tests.nowhere.workspaces"}, "E003"),
        ({"WORKSPACES": "nonsense"}, "E003"),
        ({"WORKSPACES": "tests.test_checks.VALID"}, "E003"),
        ({"WORKSPACES": NO_DICT}, "E003"),
        (FAILING, "E003"),
        ({"WORKSPACES": {"Default": VALID}}, "E004"),
        ({"WORKSPACES": {"": VALID}}, "E004"),
        ({"WORKSPACES": {"a/b": VALID}}, "E004"),
        ({"WORKSPACES": {"a" * 64: VALID}}, "E004"),
        ({"WORKSPACES": {1: VALID}}, "E004"),
        ({"WORKSPACES": {"default": "https://chat.example.org"}}, "E005"),
        (with_options(TOKEN="t"), "E006"),
        (with_options(URL=""), "E007"),
        (with_options(URL=None), "E007"),
        (with_options(URL=443), "E008"),
        (with_options(URL="chat.example.org"), "E008"),
        (with_options(URL="ftp://chat.example.org"), "E008"),
        (with_options(URL="https://"), "E008"),
        (with_options(URL="https://chat.example.org:port"), "E008"),
        (with_options(URL="https://[::1"), "E008"),
        (with_options(URL="https://chat.example.org/?a=b"), "E008"),
        (with_options(URL="https://chat.example.org/#a"), "E008"),
        (with_options(URL="https://chat.example.org/a b"), "E008"),
        (with_options(URL="https://chat.example.org\n"), "E008"),
        (with_options(URL="https://chat.example.org/api/v1/"), "E008"),
        (with_options(URL="https://me:secret@chat.example.org"), "E008"),
        (with_options(URL="http://chat.example.org"), "E009"),
        (with_options(URL="http://10.0.0.1"), "E009"),
        (with_options(USER_ID=""), "E010"),
        (with_options(AUTH_TOKEN=None), "E011"),
        (with_options(AUTH_TOKEN="t\n"), "E012"),
        (with_options(AUTH_TOKEN="tökén"), "E012"),
        (with_options(AUTH_TOKEN=5), "E012"),
        (with_options(USER_ID="a b"), "E012"),
        (with_options(CA_BUNDLE="/nonexistent/ca.pem"), "E013"),
        (with_options(CA_BUNDLE=True), "E013"),
        (with_options(TIMEOUT=0), "E014"),
        (with_options(TIMEOUT="10"), "E014"),
        (with_options(TIMEOUT=True), "E014"),
        (with_options(DEADLINE=-1), "E014"),
        (with_options(DEADLINE=float("nan")), "E014"),
        (with_options(DEADLINE=float("inf")), "E014"),
        (with_options(ALLOW_HTTP="yes"), "E015"),
        (with_options(LOG_URL=443), "E027"),
        (with_options(LOG_URL="logs.example.org/{id}"), "E027"),
        (with_options(LOG_URL="javascript:alert({id})"), "E027"),
        (with_options(LOG_URL="https://me:secret@logs.example.org/{id}"), "E027"),
        (with_options(LOG_URL="https://logs.example.org/"), "E027"),
        (with_options(LOG_URL="https://logs.example.org/{id}?a={secret}"), "E027"),
        (with_options(LOG_URL="https://{id}.example.org/"), "E027"),
        (with_options(GROUPS="acme-ops"), "E026"),
        (with_options(GROUPS=["acme-ops", 3]), "E026"),
        (with_options(GROUPS=["acme-ops", ""]), "E026"),
        (with_options(GROUPS=["x" * 151]), "E026"),
        (with_options(GROUPS={"acme-ops": True}), "E026"),
        (with_options(GROUPS=False), "E026"),
        ({"WORKSPACES": {"default": VALID}, "UNREACHABLE_AFTER": 300}, "E016"),
        ({"WORKSPACES": {"default": VALID}, "UNREACHABLE_AFTER": timedelta(0)}, "E016"),
        ({"WORKSPACES": {"default": VALID}, "UNREACHABLE_AFTER": None}, "E016"),
        (with_setting("STALLED_AFTER", 900), "E016"),
        (with_setting("STALLED_AFTER", timedelta.max), "E016"),
        (with_setting("WAITING_AFTER", timedelta.max), "E016"),
        (with_setting("STALLED_AFTER", {"loading": timedelta(0)}), "E016"),
        (with_setting("STALLED_AFTER", {"ready": timedelta(hours=1)}), "E016"),
        (with_setting("WAITING_AFTER", "1h"), "E016"),
        (with_setting("KEEP_DAYS", 0), "E018"),
        (with_setting("KEEP_DAYS", True), "E018"),
        (with_setting("KEEP_SAMPLES_DAYS", "90"), "E018"),
        (with_setting("CHANNELS", ["ops"]), "E019"),
        (with_channel({}), "E019"),
        (with_channel("mailto:ops@example.org"), "E019"),
        (with_channel(EMAIL, name="the ops"), "E019"),
        (with_channel(EMAIL | {"EVENTS": "import.failed"}), "E019"),
        (with_channel(EMAIL | {"EVENTS": ["import.exploded"]}), "E019"),
        (with_channel(EMAIL | {"DIGEST": "hourly"}), "E019"),
        (with_channel(EMAIL | {"REMIND_EVERY": 86_400}), "E019"),
        (with_channel(EMAIL | {"REMIND_EVERY": timedelta(minutes=59)}), "E019"),
        (with_channel(EMAIL | {"REMIND_EVERY": timedelta.max}), "E019"),
        (with_channel(EMAIL | {"OUTCOMES": ["exploded"]}), "E019"),
        (with_channel(EMAIL | {"DIGEST": True}), "E019"),
        (with_setting("BASE_URL", "imports.example.org"), "E021"),
        (with_setting("BASE_URL", "https://me:secret@imports.example.org"), "E021"),
        (with_setting("BASE_URL", 80), "E021"),
        (with_setting("BASE_URL", "http://[::1"), "E021"),
        (with_setting("BASE_URL", "https://imports.example.org:port"), "E021"),
        (with_setting("BASE_URL", "https://imports.example.org/#a"), "E021"),
        (with_setting("BASE_URL", "https://imports.example.org/a b"), "E021"),
        (with_setting("KEEP_DAYS", 1_000_000), "E018"),
        (with_setting("REMEMBER_FOR", timedelta(seconds=1.001)), "E023"),
        (with_setting("REMEMBER_FOR", timedelta(microseconds=-1)), "E023"),
        (with_setting("REMEMBER_FOR", 1), "E023"),
        (with_setting("REMEMBER_FOR", None), "E023"),
        (with_setting("PUBLIC_SCHEMA", "on"), "E025"),
        (with_setting("PUBLIC_SCHEMA", None), "E025"),
        (with_setting("PUBLIC_SCHEMA", 1), "E025"),
        (with_setting("METRICS_LIMIT", 0), "E031"),
        (with_setting("METRICS_LIMIT", 2_001), "E031"),
        (with_setting("METRICS_LIMIT", True), "E031"),
        (with_setting("METRICS_LIMIT", "60"), "E031"),
        (with_setting("METRICS_LIMIT", None), "E031"),
        (with_setting("METRICS_WORKSPACES", "acme-*"), "E032"),
        (with_setting("METRICS_WORKSPACES", None), "E032"),
        (with_setting("METRICS_WORKSPACES", [3]), "E032"),
        (with_setting("METRICS_WORKSPACES", ["*"]), "E032"),
        (with_setting("METRICS_WORKSPACES", ["*-acme"]), "E032"),
        (with_setting("METRICS_WORKSPACES", ["acme-**"]), "E032"),
        (with_setting("METRICS_WORKSPACES", ["acme"] * 101), "E032"),
        (with_setting("HEARTBEAT_URL", "hc-ping.com/secret"), "E028"),
        (with_setting("HEARTBEAT_URL", "ftp://hc-ping.com/secret"), "E028"),
        (with_setting("HEARTBEAT_URL", "https://me:secret@hc-ping.com"), "E028"),
        (with_setting("HEARTBEAT_URL", "https://hc-ping.com:secret"), "E028"),
        (with_setting("HEARTBEAT_URL", "https://hc-ping.com/sécret"), "E028"),
        (with_setting("HEARTBEAT_URL", "https://hc-ping.com/secret\n"), "E028"),
        (with_setting("HEARTBEAT_URL", "https://hc-ping.com/#secret"), "E028"),
        (with_setting("HEARTBEAT_URL", None), "E028"),
        (with_setting("USER_NAMES", "secret"), "E029"),
        (with_setting("USER_NAMES", None), "E029"),
        (with_setting("USER_NAMES", 0), "E029"),
    ],
)
def test_mistake_has_an_id_and_a_hint(settings: Any, setting: Any, id_: str) -> None:
    settings.IMPORTMONITOR = setting
    (message,) = [message for message in run_checks() if ".E" in (message.id or "")]
    assert message.id == f"importmonitor.{id_}"
    # What is missing may be there where the service runs.
    is_missing = id_ in {"E007", "E010", "E011", "E013"} or setting == FAILING
    assert message.level == (checks.WARNING if is_missing else checks.ERROR)
    assert message.hint
    assert "secret" not in f"{message.msg} {message.hint}"
    with pytest.raises(ImproperlyConfigured, match=f"importmonitor.{id_}"):
        conf.get_config()


@pytest.mark.parametrize(
    ("setting", "id_"),
    [
        ({}, "W001"),
        ({"WORKSPACES": {}}, "W001"),
        (with_channel(EMAIL), "W003"),
    ],
)
def test_usable_but_suspicious_setting_is_a_warning(settings: Any, setting: Any, id_: str) -> None:
    settings.IMPORTMONITOR = setting
    (message,) = run_checks()
    assert (message.id, message.level) == (f"importmonitor.{id_}", checks.WARNING)
    assert message.hint
    conf.get_config()


@pytest.mark.parametrize(
    "options",
    [
        {"BACKEND": "importmonitor.alerts.channels.PigeonChannel"},
        {"BACKEND": "nowhere"},
        {"BACKEND": "slack://secret"},
        EMAIL | {"TO": "ops@example.org"},
        EMAIL | {"TO": []},
        EMAIL | {"TO": ["ops@example.org\nBcc: secret@example.org"]},
        EMAIL | {"TO": ["a@example.org", 5]},
        EMAIL | {"TO": ["secret@example.org;b@example.org"]},
        EMAIL | {"TO": ["secret@example.org, b@example.org"]},
        EMAIL | {"TO": ["secret@example.org b@example.org"]},
        EMAIL | {"TO": ["Ann, secret@example.org <b@example.org>"]},
        EMAIL | {"TO": ["<secret@example.org> <b@example.org>"]},
        EMAIL | {"TO": ["mailto:secret@example.org"]},
        EMAIL | {"TO": ["secret@"]},
        EMAIL | {"TO": ["secret@-example.org"]},
        EMAIL | {"FROM": "no address"},
        EMAIL | {"FROM": "a@example.org;secret@example.org"},
        EMAIL | {"URL": "secret"},
        {"BACKEND": APPRISE},
        {"BACKEND": APPRISE, "URL": "secret"},
        {"BACKEND": APPRISE, "URL": "nosuchservice://secret"},
    ],
)
def test_unusable_channel_backend_is_reported(settings: Any, options: Any) -> None:
    settings.IMPORTMONITOR = with_channel(options) | {"BASE_URL": ""}
    (message,) = run_checks()
    level = checks.ERROR if all(options.values()) else checks.WARNING
    assert (message.id, message.level) == ("importmonitor.E020", level)
    assert message.hint
    assert "'ops'" in message.msg
    assert "secret" not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(
    "address",
    [
        "ops@example.org",
        "Operations <ops@example.org>",
        '"Ops, night" <ops@example.org>',
        "<ops@example.org>",
        "root@localhost",
        "root@mailhost",
        "o'brien+pager@xn--bcher-kva.example",
        "ops@bücher.example",
        "ops@[192.0.2.1]",
    ],
)
def test_address_can_be_written_in_any_usual_form(settings: Any, address: str) -> None:
    settings.IMPORTMONITOR = with_channel(EMAIL | {"TO": [address], "FROM": address}) | {
        "BASE_URL": ""
    }
    assert run_checks() == []


def test_unusable_address_is_named_by_its_position(settings: Any) -> None:
    settings.IMPORTMONITOR = with_channel(EMAIL | {"TO": ["a@example.org", "a@x;b@y"]}) | {
        "BASE_URL": ""
    }
    (message,) = run_checks()
    assert "Entry 2 of TO is not one address. Write each address on its own" in message.msg


def test_use_tz_off_is_an_error(settings: Any) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": VALID}}
    settings.USE_TZ = False
    assert [message.id for message in run_checks()] == ["importmonitor.E022"]
    with pytest.raises(ImproperlyConfigured, match="USE_TZ"):
        conf.get_config()


def test_stalled_after_can_differ_by_state(settings: Any) -> None:
    settings.IMPORTMONITOR = {"STALLED_AFTER": {"loading": timedelta(hours=2)}}
    threshold = conf.get_options().stalled_after.threshold
    assert threshold("csv", "importer_preparing_users", None) == timedelta(hours=2)
    assert threshold("csv", "importer_importing_users", None) == timedelta(minutes=30)


def test_stalled_after_can_differ_by_step_and_importer(settings: Any) -> None:
    minutes = {"pending-files": 1, "importer_importing_messages": 2, "importing": 3}
    settings.IMPORTMONITOR = {
        "STALLED_AFTER": {key: timedelta(minutes=value) for key, value in minutes.items()}
    }
    threshold = conf.get_options().stalled_after.threshold
    assert threshold("pending-files", "importer_importing_files", None) == timedelta(minutes=1)
    assert threshold("csv", "importer_importing_messages", None) == timedelta(minutes=2)
    assert threshold("csv", "importer_importing_users", None) == timedelta(minutes=3)
    assert threshold("csv", "importer_preparing_users", None) == timedelta(minutes=15)
    assert conf.get_options().stalled_after.shortest == timedelta(minutes=1)


def test_stall_threshold_fits_how_often_the_counters_are_written(settings: Any) -> None:
    """The sheet, section 2: every 50th or 500th record."""
    settings.IMPORTMONITOR = {"STALLED_AFTER": timedelta(minutes=10)}
    threshold = conf.get_options().stalled_after.threshold
    messages = "importer_importing_messages"
    assert threshold("csv", "importer_importing_users", None) == timedelta(minutes=20)
    assert threshold("csv", messages, None) == timedelta(minutes=40)
    assert threshold("pending-avatars", "importer_importing_files", None) == timedelta(hours=4)
    # 500 records at one per second, and four times as long; no less than STALLED_AFTER.
    assert threshold("csv", messages, 1.0) == timedelta(seconds=2000)
    assert threshold("csv", messages, 1000.0) == timedelta(minutes=10)
    # An absurdly slow rate does not postpone the alert for ever.
    assert threshold("csv", messages, 1e-9) == timedelta(minutes=40)


@pytest.mark.parametrize(
    "status", ["importer_new", "importer_file_loaded", "importer_user_selection", "importer_done"]
)
def test_step_at_rest_never_stalls(settings: Any, status: str) -> None:
    settings.IMPORTMONITOR = {"STALLED_AFTER": timedelta(seconds=1)}
    assert conf.get_options().stalled_after.threshold("csv", status, None) is None


def test_channel_options_are_not_in_the_repr(settings: Any) -> None:
    settings.IMPORTMONITOR = with_channel({"BACKEND": APPRISE, "URL": "slack://hush-hush"})
    assert "hush-hush" not in repr(conf.get_config())
    assert conf.get_options().channels["ops"].options["URL"] == "slack://hush-hush"


def test_missing_setting_is_a_warning(settings: Any) -> None:
    del settings.IMPORTMONITOR
    assert [message.id for message in run_checks()] == ["importmonitor.W001"]


def test_all_mistakes_are_reported_together(settings: Any) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": {"a": {}, "B": VALID}, "X": 1}
    ids = sorted(message.id or "" for message in run_checks())
    assert ids == [f"importmonitor.{id_}" for id_ in ("E002", "E004", "E007", "E010", "E011")]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://127.8.8.8:1",
        "http://[::1]:3000",
        "http://chat.localhost",
        "https://chat.example.org/",
        "https://chat.example.org/sub/path",
        "https://bücher.example",
    ],
)
def test_valid_url_is_accepted(settings: Any, url: str) -> None:
    settings.IMPORTMONITOR = with_options(URL=url)
    assert conf.get_workspace("default").url == url.rstrip("/")


def test_allow_http_accepts_an_http_url(settings: Any) -> None:
    settings.IMPORTMONITOR = with_options(URL="http://chat.internal", ALLOW_HTTP=True)
    assert conf.get_workspace("default").allow_http


def test_ca_bundle_can_be_a_path(settings: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    settings.IMPORTMONITOR = with_options(CA_BUNDLE=bundle)
    assert conf.get_workspace("default").ca_bundle == str(bundle)


@pytest.mark.parametrize(
    ("ca_bundle", "words"),
    [
        ("/nonexistent/ca.pem", "is '/nonexistent/ca.pem', which cannot be read: No such file"),
        ("ca.crt", "is 'ca.crt', which cannot be read: No such file"),
        (__file__ + "/ca.pem", "/ca.pem', which cannot be read: Not a directory"),
        (str(Path(__file__).parent), "/tests', which is a directory"),
        ("-----BEGIN CERTIFICATE-----\nhush", "holds a certificate itself"),
        ("hush", "is a path that cannot be read: No such file"),
        ("/hush" * 1_000, "is a path that cannot be read: File name too long"),
        ("/hush\0", "is a path that no file can have"),
        (b"hush", "is a bytes"),
    ],
)
def test_unusable_ca_bundle_is_described(settings: Any, ca_bundle: Any, words: str) -> None:
    settings.IMPORTMONITOR = with_options(CA_BUNDLE=ca_bundle)
    (message,) = run_checks()
    assert words in message.msg
    assert "hush" not in message.msg


def test_ca_bundle_in_a_closed_folder_is_described(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, **_options: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    settings.IMPORTMONITOR = with_options(CA_BUNDLE="/closed/ca.pem")
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(
        ImproperlyConfigured,
        match=r"CA_BUNDLE .* is '/closed/ca.pem', which cannot be read: Permission denied",
    ):
        conf.get_workspace("default")


def test_workspaces_can_come_from_a_callable(settings: Any) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": "tests.test_checks.many"}
    assert (
        list(conf.get_workspaces())
        == list(conf.get_config().workspaces)
        == ["tenant-0", "tenant-1", "tenant-2"]
    )


def test_workspace_credentials_are_not_in_the_repr(settings: Any) -> None:
    settings.IMPORTMONITOR = with_options(USER_ID="someone", AUTH_TOKEN="hush-hush")
    text = repr(conf.get_config())
    assert "hush-hush" not in text
    assert "someone" not in text


def test_missing_permission_in_a_migrated_database_is_an_error() -> None:
    assert not checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    Permission.objects.filter(codename="run-import").delete()
    (message,) = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    assert message.id == "importmonitor.E017"
    assert "run-import" in message.msg
    assert "view-import-operations" not in message.msg
    assert "migrate" in (message.hint or "")


def test_missing_permission_before_migrations_is_no_error() -> None:
    """`migrate` runs these checks first, and an error would keep it from ever running."""
    Permission.objects.all().delete()
    MigrationRecorder.Migration.objects.filter(app="importmonitor").delete()
    assert not checks.run_checks(tags=[checks.Tags.database], databases=["default"])


def run_database_checks() -> list[checks.CheckMessage]:
    return checks.run_checks(tags=[checks.Tags.database], databases=["default"])


def test_columns_that_are_not_unicode_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/process/test_charsets.py has real ones, on MariaDB."""
    table = "importmonitor_importoperation"
    columns = [
        Column(table, "file", "latin1", "varchar(512) CHARACTER SET utf8mb4 NOT NULL"),
        Column(table, "note", "utf8mb3", "longtext CHARACTER SET utf8mb4 NOT NULL"),
        Column("importmonitor_workspace", "message", "latin1", "longtext NULL"),
    ]
    monkeypatch.setattr(charsets, "find_limited_columns", lambda _alias: columns)
    first, second = run_database_checks()
    assert (first.id, first.level) == ("importmonitor.W004", checks.WARNING)
    for words in (f"{table}.file (latin1), {table}.note (utf8mb3)", "utf8mb4"):
        assert words in first.msg
    assert (first.hint or "").endswith(
        f"ALTER TABLE {table} DEFAULT CHARACTER SET utf8mb4, MODIFY `file` varchar(512) "
        "CHARACTER SET utf8mb4 NOT NULL, MODIFY `note` longtext CHARACTER SET utf8mb4 NOT NULL;"
    )
    assert "importmonitor_workspace.message" in second.msg


def test_encoding_that_is_not_utf8_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charsets, "find_encoding", lambda _alias: "latin1")
    (message,) = run_database_checks()
    assert (message.id, message.level) == ("importmonitor.W004", checks.WARNING)
    assert "latin1" in message.msg
    assert "UTF8" in (message.hint or "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(6, "6 s ahead of"), (-7.2, "7 s behind"), (5, None), (-5, None), (None, None)],
)
def test_clock_of_the_database_that_differs_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, words: str | None
) -> None:
    difference = None if seconds is None else timedelta(seconds=seconds)
    monkeypatch.setattr(our_checks, "clock_difference", lambda _alias: difference)
    messages = run_database_checks()
    assert [message.id for message in messages] == (["importmonitor.W005"] if words else [])
    for message in messages:
        assert (words or "") in message.msg
        assert "NTP" in (message.hint or "")


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_clock_of_the_database_is_measured(minutes: int) -> None:
    """Whatever the time zone of its session."""
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+05:00'")
    with time_machine.travel(timezone.now() - timedelta(minutes=minutes)):
        difference = our_checks.clock_difference("default")
    if connection.vendor == "sqlite":
        # It has no clock of its own.
        assert difference is None
        return
    assert difference is not None
    assert round(difference.total_seconds() / 60) == minutes
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")


@pytest.mark.parametrize(
    ("url", "variable", "is_warned"),
    [
        ("http://chat.example.org", "http_proxy", True),
        ("http://chat.example.org", "all_proxy", True),
        ("https://chat.example.org", "https_proxy", False),
        ("http://localhost:3000", "http_proxy", False),
        ("http://127.0.0.1:3000", "all_proxy", False),
    ],
)
def test_token_that_passes_a_proxy_in_the_clear_is_a_warning(
    settings: Any, monkeypatch: pytest.MonkeyPatch, url: str, variable: str, is_warned: bool
) -> None:
    monkeypatch.setenv(variable, "http://me:hush@proxy.example.org:3128")
    settings.IMPORTMONITOR = with_options(URL=url, ALLOW_HTTP=True)
    messages = our_checks.check_proxies(app_configs=None)
    assert [message.id for message in messages] == ["importmonitor.W006"] * is_warned
    assert "hush" not in "".join(f"{message.msg} {message.hint}" for message in messages)
    if is_warned:
        assert "proxy.example.org:3128" in messages[0].msg
