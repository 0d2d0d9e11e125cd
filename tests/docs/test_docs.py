"""The commands in the documentation work, and its links and paths exist."""

import gc
import re
import shlex
import syslog
import textwrap
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.bin.celery import celery
from click.testing import CliRunner
from django.contrib.admin import AdminSite
from django.contrib.admin import site as default_site
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.db.models.signals import post_save
from django.template import Context, Template
from django.test import Client, RequestFactory

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured
from importmonitor.alerts.drafts import draft_test_alert
from importmonitor.alerts.messages import render_message
from importmonitor.conf import options
from importmonitor.conf.problems import Problems
from importmonitor.models import ApiToken, ImportOperation, ProgressSample, StatusTransition
from importmonitor.signals import operation_changed
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
MANAGE = re.compile(r"manage\.py (.+)$", re.MULTILINE)
#: Commands that are interactive.
INTERACTIVE = {"createsuperuser", "shell"}


def code_blocks(page: Path, *languages: str) -> list[str]:
    """Return a page's fenced code blocks in these languages."""
    return [
        textwrap.dedent(text)
        for language, text in FENCE.findall(page.read_text())
        if language in languages
    ]


def code_block(name: str) -> str:
    """Return the Python block in all pages that contains a name."""
    blocks = [block for page in PAGES for block in code_blocks(page, "python")]
    [block] = [block for block in blocks if name in block]
    return block


def manage_commands() -> list[str]:
    """Return the command lines of manage.py in all pages and in the units of systemd."""
    blocks = [
        block for page in PAGES for block in code_blocks(page, "console", "sh", "cron", "ini", "")
    ]
    blocks += [path.read_text() for path in (ROOT / "deploy" / "systemd").glob("*.service")]
    return sorted({line.strip() for block in blocks for line in MANAGE.findall(block)})


def program_commands(program: str) -> list[str]:
    """Return the command lines of another program in all pages."""
    pattern = re.compile(rf"^\$ ({program} .+)$", re.MULTILINE)
    blocks = [block for page in PAGES for block in code_blocks(page, "console")]
    return sorted({line for block in blocks for line in pattern.findall(block)})


def first_command(line: str) -> list[str]:
    """Return the words of a line's first command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("&|;"):
            break
        words.append(word)
    return words


@pytest.fixture
def _configured_project(rocketchat: Workspace, settings: Any) -> None:
    """A workspace with a finished import, an alert channel, and users for tokens."""
    rocketchat.start_import("slack", seconds=60)
    rocketchat.clock.advance(600)
    backend = "importmonitor.alerts.channels.EmailChannel"
    ops = {"BACKEND": backend, "TO": ["ops@example.org"], "DIGEST": "daily"}
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "CHANNELS": {"ops": ops}}
    for name in ("dashboard", "prometheus"):
        User.objects.create(username=name)


# Django never closes connections to an in-memory database, not even those of threads that ended.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.django_db(transaction=True)
@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    "line", [line for line in manage_commands() if first_command(line)[0] not in INTERACTIVE]
)
@pytest.mark.usefixtures("_configured_project")
def test_manage_command_works(line: str) -> None:
    name, *arguments = first_command(line)
    if "--watch" in arguments and "--until-finished" not in arguments:
        arguments.append("--until-finished")
    call_command(name, *arguments)
    for thread in threading.enumerate():
        if thread.name == "importmonitor-poll":
            thread.join(10)
    gc.collect()


@pytest.mark.django_db
@pytest.mark.parametrize("line", program_commands("curl"))
@pytest.mark.usefixtures("_configured_project")
def test_curl_request_succeeds(line: str) -> None:
    """The request is made with the test client; tests/clients runs curl itself."""
    _curl, *words = shlex.split(line)
    user = User.objects.create_superuser("admin")
    _token, text = ApiToken.objects.issue(user)
    call_command("sync_import_status", verbosity=0)
    credentials = {
        "X-User-Id": str(user.pk),
        "X-Auth-Token": text,
        "Authorization": f"Bearer {text}",
    }
    # The credentials on the page are examples.
    names = [
        words[position + 1].partition(":")[0] for position, word in enumerate(words) if word == "-H"
    ]
    url = words[-1].removeprefix("https://imports.example.org")
    headers = {name: credentials[name] for name in names}
    if "--json" in words:
        body = words[words.index("--json") + 1]
        response = Client().post(url, body, content_type="application/json", headers=headers)
        assert response.status_code == 201
        return
    response = Client().get(url, headers=headers)
    assert response.status_code == 200
    assert response.json().keys() & {"operation", "results"}


@pytest.mark.parametrize("line", program_commands("celery"))
def test_celery_accepts_the_options(line: str) -> None:
    _celery, *words = shlex.split(line)
    # All options are parsed before --help is honoured.
    result = CliRunner().invoke(celery, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    rejected = CliRunner().invoke(celery, [*words, "--no-such-option", "--help"])
    assert rejected.exit_code == 2


def test_the_documented_commands_are_collected() -> None:
    assert len(program_commands("curl")) >= 2
    assert len(program_commands("celery")) >= 2
    names = {first_command(line)[0] for line in manage_commands()}
    assert {"sync_import_status", "check_rocketchat", "create_api_token"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_link_targets_exist(page: Path) -> None:
    links = r'(?:\]\(|src(?:set)?=")([^)"#:]+)(?:#[^)"]*)?[)"]'
    for target in re.findall(links, page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_paths_exist(page: Path) -> None:
    folders = r"\.ci|\.github|benchmarks|deploy|docs|importmonitor|project|simulator|tests"
    paths = rf"`((?:{folders})/[\w./-]*)`"
    for path in re.findall(paths, page.read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)`", page.read_text())) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_compile(page: Path) -> None:
    for block in code_blocks(page, "python"):
        compile(block, page.name, "exec")


def test_documented_channels_are_valid(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_URL", "json://127.0.0.1:9/")
    workspace = {"URL": "https://a.example.org", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": workspace}}
    monkeypatch.setenv("PHONE_URL", "json://127.0.0.1:9/")
    namespace = {"IMPORTMONITOR": settings.IMPORTMONITOR}
    for name in ("PAGER_URL", "PHONE_URL"):
        exec("import os\n" + code_block(name), namespace)
    assert set(conf.get_config().options.channels) == {"ops", "pager", "crm", "phone"}


def test_documented_channel_sends_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda _priority, line: lines.append(line))
    namespace: dict[str, Any] = {}
    exec(code_block("class SyslogChannel"), namespace)
    message = render_message(draft_test_alert("default", at=MONDAY, key="key").body)
    namespace["SyslogChannel"]({"FACILITY": "LOG_LOCAL0"}).send(message)
    assert lines == [message.title]
    with pytest.raises(Misconfigured):
        namespace["SyslogChannel"]({"FACILITY": "LOG_NOWHERE"})


def test_documented_settings_key_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = dict(vars(options))
    exec(code_block("LONG_AFTER"), namespace)
    assert namespace["DURATIONS"].items() > options.DURATIONS.items()
    monkeypatch.setattr(options, "DURATIONS", namespace["DURATIONS"])
    problems = Problems()
    assert namespace["read_options"]({}, problems).long_after == timedelta(days=1)
    assert not list(problems)
    namespace["read_options"]({"LONG_AFTER": 60}, problems)
    assert [problem.id for problem in problems] == ["E016"]


def test_documented_registrations_are_those_of_the_default_site() -> None:
    site = AdminSite(name="ops")
    exec(code_block("ops_site"), {"ops_site": site})
    own = {
        model: type(model_admin)
        for model, model_admin in default_site._registry.items()
        if model._meta.app_label == "importmonitor"
    }
    assert {model: type(model_admin) for model, model_admin in site._registry.items()} == own


@pytest.mark.django_db(transaction=True)
def test_documented_receiver_is_called_at_the_end(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict[str, Any] = {}
    exec(code_block("def announce_end"), namespace)
    saved: list[Any] = []
    post_save.connect(lambda sender, **_kwargs: saved.append(sender), weak=False)
    try:
        rocketchat.start_import("slack", seconds=60, file_name="acme.zip")
        for _ in range(3):
            rocketchat.clock.advance(60)
            sync_workspace("default", now=rocketchat.clock.now)
    finally:
        operation_changed.disconnect(namespace["announce_end"])
        post_save.receivers.pop()
    assert capsys.readouterr().out == "acme.zip: Done\n"
    assert not {ImportOperation, StatusTransition, ProgressSample} & set(saved)


def test_documented_filter_shows_a_permission() -> None:
    [block] = [
        block
        for page in PAGES
        for block in code_blocks(page, "django")
        if "has_import_perm" in block
    ]
    for user, shown in ((User(is_superuser=True), True), (AnonymousUser(), False)):
        request = RequestFactory().get("/")
        request.user = user
        assert ("Imports" in Template(block).render(Context({"request": request}))) == shown


def test_documented_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKETCHAT_AUTH_TOKEN", "hush")
    monkeypatch.setenv("HOOK_URL", "json://me:hush@a.example")
    setting: dict[str, Any] = {"WORKSPACES": {"default": {}}, "CHANNELS": {}}
    exec(code_block("importmonitor.secret"), {"IMPORTMONITOR": setting})
    assert setting["CHANNELS"]["hook"]["URL"] == "json://me:hush@a.example"
    assert "hush" not in repr(setting)
