"""The outbox delivers each alert once to each channel, and retries for two days."""

import logging
from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from importmonitor.alerts import outbox
from importmonitor.alerts.channels import Misconfigured, Undelivered
from importmonitor.alerts.drafts import draft_test_alert
from importmonitor.models import Alert
from simulator.clock import Clock
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import (
    configure_channels,
    deliver,
    get_alert,
    idempotency_keys,
    write_alerts,
)
from tests.conftest import MONDAY

pytestmark = pytest.mark.django_db

LOGGER = "importmonitor.alerts.outbox"
MINUTE = 60.0
DAY = 86_400.0


def attempt_when_due(clock: Clock, count: int) -> list[timedelta]:
    """Attempt the only alert whenever it is due; return the times of the attempts."""
    times = []
    for _ in range(count):
        due = get_alert().next_attempt_at
        assert due is not None
        clock.set(due)
        deliver(clock)
        times.append(due - MONDAY)
    return times


def test_alert_is_delivered_once(clock: Clock, recorder: Recorder) -> None:
    write_alerts(clock, "first")
    assert deliver(clock, after=1) == 1
    row = get_alert()
    assert row.delivered_at == MONDAY + timedelta(seconds=1)
    assert (row.attempts, row.next_attempt_at, row.given_up_at, row.last_error) == (
        1,
        None,
        None,
        "",
    )
    assert deliver(clock, after=DAY) == 0
    assert idempotency_keys(recorder.messages) == ["first"]


def test_alert_is_unique_per_key_and_channel(
    clock: Clock, recorder: Recorder, settings: Any
) -> None:
    configure_channels(settings, {"ops": recording(), "boss": recording("boss")})
    write_alerts(clock, "first")
    deliver(clock)
    write_alerts(clock, "first", "second")
    deliver(clock)
    assert sorted(Alert.objects.values_list("channel", "key")) == [
        ("boss", "first"),
        ("boss", "second"),
        ("ops", "first"),
        ("ops", "second"),
    ]
    delivered = [(name, message.body["idempotency_key"]) for name, message in recorder.delivered]
    assert sorted(delivered) == sorted(Alert.objects.values_list("channel", "key"))


def test_oldest_alert_is_delivered_first(clock: Clock, recorder: Recorder) -> None:
    write_alerts(clock, "first", "second")
    write_alerts(clock, "third")
    assert deliver(clock) == 3
    assert idempotency_keys(recorder.messages) == ["first", "second", "third"]


def test_failed_alert_is_not_retried_before_it_is_due(clock: Clock, recorder: Recorder) -> None:
    write_alerts(clock, "first")
    recorder.fail(Undelivered("The mail server answered 451."))
    assert deliver(clock) == 0
    recorder.restore()
    deliver(clock, after=50)
    assert recorder.delivered == []
    assert deliver(clock, after=20) == 1
    assert (get_alert().attempts, get_alert().last_error) == (2, "")


def test_backoff_doubles_up_to_an_hour_and_ends_after_two_days(
    clock: Clock, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger=LOGGER)
    write_alerts(clock, "first")
    recorder.fail(Undelivered("The mail server answered 451."))
    pauses = [
        (after - before) / timedelta(minutes=1)
        for before, after in pairwise(attempt_when_due(clock, 10))
    ]
    for pause, expected in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert expected * 0.89 <= pause <= expected * 1.11
    clock.set(MONDAY + timedelta(days=2, minutes=-1))
    deliver(clock)
    assert get_alert().given_up_at is None
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    (end,) = attempt_when_due(clock, 1)
    assert timedelta(days=2) <= end <= timedelta(days=2, minutes=67)
    row = get_alert()
    assert row.given_up_at == clock.now()
    assert row.delivered_at is row.next_attempt_at is None
    assert row.attempts == len(recorder.attempted) == 12
    assert row.last_error == "The mail server answered 451."
    assert caplog.records[-1].levelname == "ERROR"
    assert "given up" in caplog.messages[-1]
    recorder.restore()
    assert deliver(clock, after=30 * DAY) == 0
    assert len(recorder.attempted) == 12


def test_overdue_alert_is_attempted_before_it_is_given_up(clock: Clock, recorder: Recorder) -> None:
    write_alerts(clock, "first")
    assert deliver(clock, after=30 * DAY) == 1


def test_backoff_has_jitter(clock: Clock, settings: Any, recorder: Recorder) -> None:
    """Channels that failed together are not retried together."""
    names = list(map(str, range(5)))
    configure_channels(settings, {name: recording(name) for name in names})
    for name in names:
        recorder.fail(Undelivered("no"), name)
    write_alerts(clock, "first")
    deliver(clock)
    assert len(set(Alert.objects.values_list("next_attempt_at", flat=True))) == 5


@pytest.mark.parametrize("failing", ["first", "second"])
def test_failing_channel_delays_no_other(
    clock: Clock, recorder: Recorder, settings: Any, failing: str
) -> None:
    configure_channels(settings, {"first": recording("first"), "second": recording("second")})
    write_alerts(clock, "a", "b", "c")
    recorder.fail(Undelivered("no"), failing)
    assert deliver(clock) == 3
    assert failing not in dict(recorder.delivered)
    assert [name for name, _ in recorder.attempted].count(failing) == 1
    recorder.restore()
    assert deliver(clock, after=2 * MINUTE) == 3
    assert sorted(idempotency_keys(recorder.messages)) == ["a", "a", "b", "b", "c", "c"]


def test_alert_of_removed_channel_says_so_and_is_given_up(
    clock: Clock, recorder: Recorder, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger=LOGGER)
    write_alerts(clock, "first")
    configure_channels(settings, {"boss": recording("boss")})
    assert deliver(clock) == 0
    assert "No channel of this name" in get_alert().last_error
    deliver(clock, after=3 * DAY)
    assert get_alert().given_up_at is not None
    assert caplog.records[-1].levelname == "ERROR"
    assert recorder.attempted == []


def test_restored_channel_gets_its_pending_alerts(
    clock: Clock, recorder: Recorder, settings: Any
) -> None:
    write_alerts(clock, "first")
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
def test_any_exception_of_a_backend_is_a_failed_attempt(
    clock: Clock, recorder: Recorder, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Its text is neither stored nor logged: it may contain the channel's options."""
    caplog.set_level(logging.DEBUG, logger="importmonitor")
    write_alerts(clock, "first")
    recorder.fail(error)
    assert deliver(clock) == 0
    assert type(error).__name__ in get_alert().last_error
    assert get_alert().next_attempt_at is not None
    assert "hush" not in get_alert().last_error + caplog.text
    recorder.restore()
    assert deliver(clock, after=2 * MINUTE) == 1


@pytest.mark.parametrize(
    "backend",
    [
        "tests.alerts.backends.Unloadable",
        "tests.alerts.backends.Missing",
        "tests.alerts.nowhere.Backend",
        "tests.alerts.backends",
        "nowhere",
        "",
        ".",
    ],
)
def test_backend_that_cannot_be_loaded_is_a_failed_attempt(
    clock: Clock, recorder: Recorder, settings: Any, caplog: pytest.LogCaptureFixture, backend: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="importmonitor")
    broken = {"BACKEND": backend, "PASSWORD": "hush"}
    configure_channels(settings, {"ops": broken, "boss": recording("boss")})
    write_alerts(clock, "first")
    assert deliver(clock) == 1
    assert get_alert().last_error
    assert "hush" not in get_alert().last_error + caplog.text


def test_alert_that_cannot_be_rendered_is_a_failed_attempt(
    clock: Clock, recorder: Recorder
) -> None:
    """One that another version of the app wrote, for example."""
    write_alerts(clock, "first", "second")
    Alert.objects.filter(key="first").update(body={"event": "import.dreamt"})
    deliver(clock)
    deliver(clock, after=1)
    assert idempotency_keys(recorder.messages) == ["second"]
    assert Alert.objects.get(key="first").last_error


def test_stored_error_is_one_short_line(clock: Clock, recorder: Recorder) -> None:
    write_alerts(clock, "first")
    recorder.fail(Misconfigured("two\nlines\x1b[31m " + "long " * 1000))
    deliver(clock)
    assert get_alert().last_error.startswith("two lines")
    assert get_alert().last_error.isprintable()
    assert len(get_alert().last_error) <= 500


def test_concurrent_delivery_attempts_each_alert_once(clock: Clock, recorder: Recorder) -> None:
    """Here another process delivers between this one's SELECT and its claim."""
    write_alerts(clock, "first", "second")
    calls = 0

    def now() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 2:
            assert outbox.deliver(now=clock.now) == 2
        return clock.now()

    assert outbox.deliver(now=now) == 0
    assert idempotency_keys(recorder.attempted_messages) == ["first", "second"]
    assert set(Alert.objects.values_list("attempts", flat=True)) == {1}


def test_alert_in_delivery_is_not_attempted_by_another_process(
    clock: Clock, recorder: Recorder
) -> None:
    write_alerts(clock, "first")
    clock.advance(120)
    write_alerts(clock, "second", workspace="eu")
    delivered: list[int] = []

    def deliver_concurrently() -> None:
        recorder.restore()
        delivered.append(outbox.deliver(now=clock.now))

    recorder.on_send["ops"] = deliver_concurrently
    assert outbox.deliver(now=clock.now) == 1
    assert delivered == [1]
    assert sorted(idempotency_keys(recorder.messages)) == ["first", "second"]


def test_alert_of_killed_process_is_delivered_after_its_claim_expires(
    clock: Clock, recorder: Recorder
) -> None:
    write_alerts(clock, "first")
    clock.advance(120)
    write_alerts(clock, "second", workspace="eu")
    recorder.fail(SystemExit())
    with pytest.raises(SystemExit):
        outbox.deliver(now=clock.now)
    recorder.restore()
    assert deliver(clock) == 1
    assert deliver(clock, after=11 * MINUTE) == 0, "the claim has not expired"
    assert deliver(clock, after=MINUTE) == 1
    assert idempotency_keys(recorder.messages) == ["second", "first"]
    assert deliver(clock, after=DAY) == 0


def test_delivery_stops_after_twenty_seconds(
    clock: Clock, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest stays due, and a poll by cron ends in time."""
    seconds = 0.0

    def take_time() -> None:
        nonlocal seconds
        seconds += 9

    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: seconds))
    recorder.on_send["ops"] = take_time
    write_alerts(clock, *map(str, range(10)))
    assert deliver(clock) == 3
    assert deliver(clock) == 3
    assert idempotency_keys(recorder.messages) == list(map(str, range(6)))


def test_test_alert_goes_to_every_channel_and_is_not_retried(
    clock: Clock, recorder: Recorder, settings: Any
) -> None:
    channels = {"ops": recording(), "boss": recording("boss", EVENTS=["import.failed"])}
    configure_channels(settings, channels)
    recorder.fail(Undelivered("no"))
    outbox.write([draft_test_alert("default", at=MONDAY, key="test")], MONDAY)
    assert deliver(clock) == 1
    recorder.restore()
    assert deliver(clock, after=DAY) == 0
    (message,) = recorder.messages
    assert message.title == "default: test alert"
    assert (message.body["event"], message.body["operation"]) == ("test", None)
    assert get_alert().given_up_at == MONDAY
    assert get_alert("boss").delivered_at == MONDAY


def test_delivering_nothing_costs_one_query(
    clock: Clock, recorder: Recorder, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert deliver(clock) == 0
