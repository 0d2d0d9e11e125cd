"""The outbox: each message once to each channel, for as long as two days, whatever fails."""

import logging
from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from importmonitor.alerts import outbox
from importmonitor.alerts.channels import Misconfigured, Undelivered
from importmonitor.alerts.messages import draft_test_alert as notice_of_a_test
from importmonitor.models import Alert
from simulator.clock import Clock
from tests.alerts.backends import Post, recording
from tests.alerts.helpers import alert, configure_channels, deliver, keys, put_down
from tests.conftest import MONDAY

pytestmark = pytest.mark.django_db

LOGGER = "importmonitor.alerts.outbox"
MINUTE = 60.0
DAY = 86_400.0


def attempts(clock: Clock, number: int) -> list[timedelta]:
    """Deliver whenever the one message is due, so often; return when that was."""
    made = []
    for _ in range(number):
        due = alert().next_attempt_at
        assert due is not None
        clock.set(due)
        deliver(clock)
        made.append(due - MONDAY)
    return made


def test_a_message_is_delivered_once(clock: Clock, post: Post) -> None:
    put_down(clock, "first")
    assert deliver(clock, after=1) == 1
    row = alert()
    assert row.delivered_at == MONDAY + timedelta(seconds=1)
    assert (row.attempts, row.next_attempt_at, row.given_up_at, row.last_error) == (
        1,
        None,
        None,
        "",
    )
    assert deliver(clock, after=DAY) == 0
    assert keys(post.messages) == ["first"]


def test_a_message_is_there_once_for_each_key_and_channel(
    clock: Clock, post: Post, settings: Any
) -> None:
    configure_channels(settings, {"ops": recording(), "boss": recording("boss")})
    put_down(clock, "first")
    deliver(clock)
    put_down(clock, "first", "second")
    deliver(clock)
    assert sorted(Alert.objects.values_list("channel", "key")) == [
        ("boss", "first"),
        ("boss", "second"),
        ("ops", "first"),
        ("ops", "second"),
    ]
    told = sorted((name, message.body["idempotency_key"]) for name, message in post.delivered)
    assert told == sorted(Alert.objects.values_list("channel", "key"))


def test_the_oldest_is_delivered_first(clock: Clock, post: Post) -> None:
    put_down(clock, "first", "second")
    put_down(clock, "third")
    assert deliver(clock) == 3
    assert keys(post.messages) == ["first", "second", "third"]


def test_nothing_is_due_before_its_time(clock: Clock, post: Post) -> None:
    put_down(clock, "first")
    post.fail(Undelivered("The mail server answered 451."))
    assert deliver(clock) == 0
    post.mend()
    deliver(clock, after=50)
    assert post.delivered == []
    assert deliver(clock, after=20) == 1
    assert (alert().attempts, alert().last_error) == (2, "")


def test_pauses_grow_up_to_an_hour_and_two_days_are_the_end(
    clock: Clock, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger=LOGGER)
    put_down(clock, "first")
    post.fail(Undelivered("The mail server answered 451."))
    minutes = [
        (after - before) / timedelta(minutes=1) for before, after in pairwise(attempts(clock, 10))
    ]
    for pause, expected in zip(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert expected * 0.89 <= pause <= expected * 1.11
    clock.set(MONDAY + timedelta(days=2, minutes=-1))
    deliver(clock)
    assert alert().given_up_at is None
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    (end,) = attempts(clock, 1)
    assert timedelta(days=2) <= end <= timedelta(days=2, minutes=67)
    row = alert()
    assert row.given_up_at == clock.now()
    assert row.delivered_at is row.next_attempt_at is None
    assert row.attempts == len(post.attempted) == 12
    assert row.last_error == "The mail server answered 451."
    assert caplog.records[-1].levelname == "ERROR"
    assert "given up" in caplog.messages[-1]
    post.mend()
    assert deliver(clock, after=30 * DAY) == 0
    assert len(post.attempted) == 12


def test_a_message_is_tried_once_more_after_a_pause_of_the_monitor(
    clock: Clock, post: Post
) -> None:
    put_down(clock, "first")
    assert deliver(clock, after=30 * DAY) == 1


def test_pauses_are_not_all_of_one_length(clock: Clock, post: Post) -> None:
    """So that what failed together does not come back together."""
    put_down(clock, *map(str, range(5)))
    post.fail(Undelivered("no"))
    for _ in range(5):
        deliver(clock)
    assert len(set(Alert.objects.values_list("next_attempt_at", flat=True))) == 5


@pytest.mark.parametrize("failing", ["first", "second"])
def test_a_channel_that_fails_holds_up_no_other(
    clock: Clock, post: Post, settings: Any, failing: str
) -> None:
    configure_channels(settings, {"first": recording("first"), "second": recording("second")})
    put_down(clock, "a", "b", "c")
    post.fail(Undelivered("no"), failing)
    assert deliver(clock) == 3
    assert failing not in dict(post.delivered)
    assert [name for name, _ in post.attempted].count(failing) == 1
    post.mend()
    assert deliver(clock, after=2 * MINUTE) == 3
    assert sorted(keys(post.messages)) == ["a", "a", "b", "b", "c", "c"]


def test_a_channel_that_is_gone_is_told_of_in_the_row(
    clock: Clock, post: Post, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger=LOGGER)
    put_down(clock, "first")
    configure_channels(settings, {"boss": recording("boss")})
    assert deliver(clock) == 0
    assert "No channel of this name" in alert().last_error
    deliver(clock, after=3 * DAY)
    assert alert().given_up_at is not None
    assert caplog.records[-1].levelname == "ERROR"
    assert post.attempted == []


def test_a_channel_that_comes_back_gets_what_waits_for_it(
    clock: Clock, post: Post, settings: Any
) -> None:
    put_down(clock, "first")
    configure_channels(settings, {})
    deliver(clock)
    configure_channels(settings, {"ops": recording()})
    assert deliver(clock, after=2 * MINUTE) == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("hush"),
        KeyError("hush"),
        OSError(5, "hush", "hush"),
        RecursionError("hush"),
        AssertionError(),
        UnicodeDecodeError("utf-8", b"hush", 0, 1, "hush"),
        ExceptionGroup("hush", [ValueError("hush")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_backend_raises_is_a_failed_attempt(
    clock: Clock, post: Post, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """And what it says is told to nobody: it may hold what the channel was configured with."""
    caplog.set_level(logging.DEBUG, logger="importmonitor")
    put_down(clock, "first")
    post.fail(error)
    assert deliver(clock) == 0
    assert type(error).__name__ in alert().last_error
    assert alert().next_attempt_at is not None
    assert "hush" not in alert().last_error + caplog.text
    post.mend()
    assert deliver(clock, after=2 * MINUTE) == 1


@pytest.mark.parametrize(
    "backend",
    [
        "tests.alerts.backends.Unmakeable",
        "tests.alerts.backends.Missing",
        "tests.alerts.nowhere.Backend",
        "tests.alerts.backends",
        "nowhere",
        "",
        ".",
    ],
)
def test_a_backend_that_cannot_be_made_is_a_failed_attempt(
    clock: Clock, post: Post, settings: Any, caplog: pytest.LogCaptureFixture, backend: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="importmonitor")
    broken = {"BACKEND": backend, "PASSWORD": "hush"}
    configure_channels(settings, {"ops": broken, "boss": recording("boss")})
    put_down(clock, "first")
    assert deliver(clock) == 1
    assert alert().last_error
    assert "hush" not in alert().last_error + caplog.text


def test_a_row_that_cannot_be_worded_is_a_failed_attempt(clock: Clock, post: Post) -> None:
    """As one that another version of the app has written."""
    put_down(clock, "first", "second")
    Alert.objects.filter(key="first").update(body={"event": "import.dreamt"})
    deliver(clock)
    deliver(clock, after=1)
    assert keys(post.messages) == ["second"]
    assert Alert.objects.get(key="first").last_error


def test_what_is_wrong_is_kept_on_one_line_and_short(clock: Clock, post: Post) -> None:
    put_down(clock, "first")
    post.fail(Misconfigured("two\nlines\x1b[31m " + "long " * 1000))
    deliver(clock)
    assert alert().last_error.startswith("two lines")
    assert alert().last_error.isprintable()
    assert len(alert().last_error) <= 500


def test_of_several_deliverers_one_makes_an_attempt(clock: Clock, post: Post) -> None:
    """Here another one comes first between finding what is due and claiming it."""
    put_down(clock, "first", "second")
    asked = 0

    def now() -> datetime:
        nonlocal asked
        asked += 1
        if asked == 2:
            assert outbox.deliver(now=clock.now) == 2
        return clock.now()

    assert outbox.deliver(now=now) == 0
    assert keys(post.attempted_messages) == ["first", "second"]
    assert set(Alert.objects.values_list("attempts", flat=True)) == {1}


def test_what_one_process_is_at_no_other_begins(clock: Clock, post: Post) -> None:
    put_down(clock, "first", "second")
    delivered: list[int] = []

    def meanwhile() -> None:
        post.mend()
        delivered.append(outbox.deliver(now=clock.now))

    post.on_send["ops"] = meanwhile
    assert outbox.deliver(now=clock.now) == 1
    assert delivered == [1]
    assert sorted(keys(post.messages)) == ["first", "second"]


def test_what_a_process_was_killed_over_is_delivered_by_the_next(clock: Clock, post: Post) -> None:
    put_down(clock, "first", "second")
    post.fail(SystemExit())
    with pytest.raises(SystemExit):
        outbox.deliver(now=clock.now)
    post.mend()
    assert deliver(clock) == 1
    assert deliver(clock, after=4 * MINUTE) == 0, "it might yet be at it"
    assert deliver(clock, after=MINUTE) == 1
    assert keys(post.messages) == ["second", "first"]
    assert deliver(clock, after=DAY) == 0


def test_one_call_does_not_deliver_for_ever(
    clock: Clock, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is there for the next; a poll of a cron job is to end some time."""
    seconds = 0.0

    def take_time() -> None:
        nonlocal seconds
        seconds += 9

    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: seconds))
    post.on_send["ops"] = take_time
    put_down(clock, *map(str, range(10)))
    assert deliver(clock) == 3
    assert deliver(clock) == 3
    assert keys(post.messages) == list(map(str, range(6)))


def test_a_message_of_a_test_goes_to_every_channel_and_is_not_tried_again(
    clock: Clock, post: Post, settings: Any
) -> None:
    channels = {"ops": recording(), "boss": recording("boss", EVENTS=["import.failed"])}
    configure_channels(settings, channels)
    post.fail(Undelivered("no"))
    outbox.write([notice_of_a_test("default", at=MONDAY, key="test")], MONDAY)
    assert deliver(clock) == 1
    post.mend()
    assert deliver(clock, after=DAY) == 0
    (message,) = post.messages
    assert message.title == "default: a test of the alerts"
    assert (message.body["event"], message.body["operation"]) == ("test", None)
    assert alert().given_up_at == MONDAY
    assert alert("boss").delivered_at == MONDAY


def test_nothing_to_deliver_is_one_query(
    clock: Clock, post: Post, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert deliver(clock) == 0
