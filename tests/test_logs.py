"""What is logged and printed is one printable line, whatever a workspace sends."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

import importmonitor
from importmonitor.alerts.channels import Undelivered
from importmonitor.logs import get_logger
from importmonitor.models import ImportOperation
from importmonitor.sync import sync_workspace
from tests.alerts.backends import RECORDER, recording
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.remote.servers import Server, answering, http

#: Starts a line of its own, clears the screen, and reverses the text (U+202E, U+2066).
HOSTILE = (
    "CSV\n2026-01-01 00:00:00,000 ERROR importmonitor: FAKE\r\x1b[2J\x9b2J\x00\x07\x7f\x85"
    "\u202efdp.exe\u2066\u2028\u2029\u200b\ud800"
)


def hostile_response(number: int = 0) -> bytes:
    document = {
        "_id": f"id-{number}",
        "type": HOSTILE,
        "importerKey": HOSTILE,
        "status": f"importer_done{HOSTILE}{number}",
        "user": HOSTILE,
        "file": HOSTILE,
        "count": {"total": 5, "completed": 3},
        HOSTILE: HOSTILE,
    }
    return http(json.dumps({"operation": document, "success": True}))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a handler of all loggers writes, at the lowest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [handler])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    for name in ("importmonitor", "urllib3", "apprise"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    logging.Logger.manager._clear_cache()  # type: ignore[attr-defined] # as setLevel does
    return stream


def assert_printable_lines(text: str) -> None:
    # Not `splitlines`, for which some of the characters end a line.
    for line in text.rstrip("\n").split("\n"):
        assert line.isprintable(), repr(line)
        assert not line.startswith("2026-01-01")


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"format": "json"}])
def test_hostile_document_is_one_line(
    settings: Any, log: io.StringIO, options: dict[str, Any]
) -> None:
    responses = [hostile_response(1), http("[]"), hostile_response(2)]
    out, err = io.StringIO(), io.StringIO()
    with Server(answering(*responses)) as server:
        configure_hostile(settings, server.url)
        call_command("sync_import_status", stdout=out, stderr=err, **options)
        call_command("sync_import_status", stdout=out, stderr=err, **options)
    assert ImportOperation.objects.exists() or "dry_run" in options
    assert len(out.getvalue().splitlines()) == 2
    for text in (out.getvalue(), err.getvalue(), log.getvalue()):
        assert_printable_lines(text)
    if not options:
        assert "INFO importmonitor.sync.poll: default: CSV\ufffd2026-01-01" in log.getvalue()


def configure_hostile(settings: Any, url: str, **more: Any) -> None:
    options = {"URL": url, "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": options}, **more}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "response",
    [
        http(HOSTILE.encode("utf-8", "replace"), 503, "text/html"),
        http(HOSTILE.encode("utf-8", "replace"), 200, "text/plain"),
        http("", 302, headers={"Location": "https://a.example/\x1b[2J\x85\x9b"}),
        http("", 200, "text/\x1b[2J\x07"),
        b"HTTP/1.1 200 \x1b[2J\x9b\r\nContent-Length: 0\r\n\r\n",
        b"\x1b[2J\x9b HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad\x1b[2J header\r\n\x85: \x9b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\x85\r\n",
    ],
)
def test_hostile_error_is_one_line(settings: Any, log: io.StringIO, response: bytes) -> None:
    out, err = io.StringIO(), io.StringIO()
    with Server(answering(response)) as server:
        configure_hostile(settings, server.url)
        with pytest.raises(SystemExit):
            call_command("sync_import_status", stdout=out, stderr=err)
        with pytest.raises(SystemExit):
            call_command("check_rocketchat", stdout=out, stderr=err)
    assert "sync failed" in out.getvalue()
    for text in (out.getvalue(), err.getvalue(), log.getvalue()):
        assert_printable_lines(text)


@pytest.mark.django_db
def test_undelivered_alert_is_one_line(settings: Any, log: io.StringIO) -> None:
    """A server's text is in the error, and what a file is called in the event."""
    with Server(answering(hostile_response(), http("[]"))) as server:
        configure_hostile(settings, server.url, CHANNELS={"ops": recording()})
        RECORDER.fail(Undelivered(HOSTILE))
        try:
            assert sync_workspace("default").ok
            out, err = io.StringIO(), io.StringIO()
            with pytest.raises(SystemExit):
                call_command("send_test_alert", stdout=out, stderr=err)
        finally:
            RECORDER.restore()
    assert "was given up for ops: CSV" in log.getvalue()
    for text in (out.getvalue(), err.getvalue(), log.getvalue()):
        assert_printable_lines(text)


def test_traceback_is_of_printable_lines(log: io.StringIO) -> None:
    """Where an exception quotes a text, that starts no line of its own either."""
    logger = get_logger("importmonitor.tests")
    settings: dict[str, int] = {}
    try:
        try:
            settings[HOSTILE]
        except LookupError as error:
            raise ValueError(HOSTILE) from error
    except ValueError:
        logger.exception("%s of %d: %s", HOSTILE, 5, [HOSTILE])
    lines = log.getvalue().encode("utf-8", "replace").decode()
    assert_printable_lines(lines)
    assert "ValueError: CSV\ufffd2026-01-01" in lines
    assert "\n  File " in lines
    assert " of 5: " in lines


def test_all_loggers_are_filtered() -> None:
    """A module that calls logging.getLogger would write its records as they are."""
    package = Path(importmonitor.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "logging.getLogger(" in path.read_text() or "get_task_logger(" in path.read_text()
    }
    # Those in `channels` only capture the logs of libraries.
    allowed = {"__init__.py", "logs.py", "alerts/channels.py", "contrib/celery/tasks.py"}
    assert users == allowed
    assert "addFilter(make_printable)" in (package / "contrib/celery/tasks.py").read_text()
