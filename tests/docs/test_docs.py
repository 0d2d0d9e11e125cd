"""What the documentation tells people to type, and where it points, is there and works."""

import gc
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.bin.celery import celery
from click.testing import CliRunner
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from importmonitor import conf
from importmonitor.models import ApiToken
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, USER_ID

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
MANAGE = re.compile(r"manage\.py (.+)$", re.MULTILINE)
#: What asks questions, or has a test of its own.
ELSEWHERE = {"createsuperuser", "shell"}


def blocks(page: Path, *languages: str) -> list[str]:
    """Return a page's fenced blocks in these languages."""
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def commands() -> Iterator[tuple[str, str]]:
    """Give each command of manage.py that a page shows, with the page's name."""
    for page in PAGES:
        for block in blocks(page, "console", "sh", "cron", "ini", ""):
            for line in MANAGE.findall(block):
                yield page.name, line.strip()


def arguments(line: str) -> list[str]:
    """Return the words of a command, up to where the shell begins another."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("&|;"):
            break
        words.append(word)
    return words


@pytest.fixture
def ready(rocketchat: Workspace, settings: Any) -> None:
    """A workspace with an import that is done, a channel, and a user for a token."""
    rocketchat.start_import("slack", seconds=60)
    rocketchat.clock.advance(600)
    ops = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "CHANNELS": {"ops": ops}}
    for name in ("dashboard", "prometheus"):
        User.objects.create(username=name)


# Of a database in memory, Django closes no connection, nor that of a thread that ends.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("line", sorted({line for _page, line in commands()}))
@pytest.mark.usefixtures("ready")
def test_a_command_works(line: str) -> None:
    name, *rest = arguments(line)
    if name in ELSEWHERE:
        pytest.skip("asks questions, or has a test of its own")
    if "--watch" in rest and "--until-finished" not in rest:
        rest.append("--until-finished")
    call_command(name, *rest)
    for thread in threading.enumerate():
        if thread.name == "importmonitor-poll":
            thread.join(10)
    gc.collect()


def of_program(name: str) -> list[str]:
    """Return the lines in which pages run a program."""
    shown = re.compile(rf"^\$ ({name} .+)$", re.MULTILINE)
    texts = [text for page in PAGES for text in blocks(page, "console")]
    return sorted({line for text in texts for line in shown.findall(text)})


@pytest.mark.django_db
@pytest.mark.parametrize("line", of_program("curl"))
@pytest.mark.usefixtures("ready")
def test_what_curl_is_told_to_ask_is_answered(line: str) -> None:
    """With a user and a token that there are; curl itself is run in tests/clients."""
    _curl, *words = shlex.split(line)
    user = User.objects.create_superuser("somebody")
    _token, text = ApiToken.objects.issue(user)
    call_command("sync_import_status", verbosity=0)
    names = {"X-User-Id": str(user.pk), "X-Auth-Token": text, "Authorization": f"Bearer {text}"}
    given = [words[at + 1].partition(":")[0] for at, word in enumerate(words) if word == "-H"]
    answer = Client().get(
        words[-1].removeprefix("https://imports.example.org"),
        headers={name: names[name] for name in given},
    )
    assert answer.status_code == 200
    assert answer.json().keys() & {"operation", "results"}


@pytest.mark.parametrize("line", of_program("celery"))
def test_celery_takes_what_it_is_told(line: str) -> None:
    _celery, *words = shlex.split(line)
    # All options are read before help is given.
    found = CliRunner().invoke(celery, [*words, "--help"])
    assert found.exit_code == 0, found.output
    assert "Usage:" in found.output
    wrong = CliRunner().invoke(celery, [*words, "--no-such-option", "--help"])
    assert wrong.exit_code == 2


def test_commands_are_found() -> None:
    assert len(of_program("curl")) >= 2
    assert len(of_program("celery")) >= 2
    found = {arguments(line)[0] for _page, line in commands()}
    assert {"sync_import_status", "check_rocketchat", "create_api_token"} <= found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = r'(?:\]\(|src(?:set)?=")([^)"#:]+)(?:#[^)"]*)?[)"]'
    for target in re.findall(links, page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = r"`((?:\.ci|benchmarks|docs|importmonitor|project|tests)/[\w./-]*)`"
    for path in re.findall(named, page.read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_that_are_named_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)`", page.read_text())) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


def test_channels_are_good_settings(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_URL", "json://127.0.0.1:9/")
    [block] = [each for each in blocks(ROOT / "docs" / "alerts.md", "python") if "CHANNELS" in each]
    workspace = {"URL": "https://a.example.org", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": workspace}}
    exec("import os\n" + block, {"IMPORTMONITOR": settings.IMPORTMONITOR})
    assert set(conf.config().options.channels) == {"ops", "pager"}
