"""Rocket.Chat's clock, as the headers of its responses show it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.clock import clock_offset, server_time
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import RateLimited
from importmonitor.rocketchat.rate_limit import parse_rate_limit
from tests.remote.failing_responses import faked
from tests.remote.helpers import OPERATION, TOKEN, USER_ID

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
TOO_MANY = (
    "Error, too many requests. Please slow down. You must wait 12 seconds before trying this "
    "endpoint again. [error-too-many-requests]"
)

#: Values of the header that are no time.
MALFORMED = [
    "",
    "soon",
    "2026-03-01T12:00:00Z",
    "Sun, 01 Mar",
    "Sun, 31 Feb 2026 12:00:00 GMT",
    "Sun, 01 Mar 2026 25:00:00 GMT",
    "Sun, 01 Mar 99999999999 12:00:00 GMT",
    "Sun, 01 Mar 2026 12:00:00 +9999999999",
    "9" * 5000,
    "\x00\udc80, 01 \N{ARABIC-INDIC DIGIT ONE}",
    "1772366400",
]


def at(moment: datetime) -> dict[str, str]:
    """Return the header of a response that was made at a time."""
    return {"Date": format_datetime(moment, usegmt=True)}


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 01 Mar 2026 12:00:00 GMT",
        "Sun, 01 Mar 2026 13:00:00 +0100",
        "Sunday, 01-Mar-26 12:00:00 GMT",
        "Sun Mar  1 12:00:00 2026",
        "Sun, 01 Mar 2026 12:00:00 -0000",
    ],
)
def test_every_form_of_date_is_read(text: str) -> None:
    assert server_time({"Date": text}) == NOON


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_date_is_no_time(text: str) -> None:
    assert server_time({"Date": text}) is None
    assert clock_offset({"Date": text}, NOON) is None


@pytest.mark.parametrize("headers", [{}, {"X-Date": "Sun, 01 Mar 2026 12:00:00 GMT"}])
def test_missing_date_is_no_time(headers: Mapping[str, str]) -> None:
    assert server_time(headers) is None
    assert clock_offset(headers, NOON) is None


@pytest.mark.parametrize("name", ["Date", "date", "DATE"])
def test_name_of_header_is_in_any_case(name: str) -> None:
    headers = CaseInsensitiveDict({name: "Sun, 01 Mar 2026 12:00:00 GMT"})
    assert server_time(headers) == NOON


@pytest.mark.parametrize(
    "offset", [timedelta(0), HOUR, -HOUR, 9 * MINUTE, -40 * SECOND, timedelta(days=1) - SECOND]
)
def test_offset_is_exact_to_a_second(offset: timedelta) -> None:
    for fraction in (0.0, 0.25, 0.999):
        server_now = NOON + offset + fraction * SECOND
        measured = clock_offset(at(server_now), NOON + fraction * SECOND)
        assert measured is not None
        assert abs(measured - offset) < SECOND


@pytest.mark.parametrize(
    "moment",
    [
        NOON + timedelta(days=1, seconds=1),
        NOON - timedelta(days=1, seconds=1),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_absurd_date_is_no_offset(moment: datetime) -> None:
    assert clock_offset(at(moment), NOON) is None


def test_cached_response_is_no_offset() -> None:
    """Its Date is the time at which it was made."""
    headers = CaseInsensitiveDict(at(NOON - 9 * MINUTE) | {"age": "540"})
    assert clock_offset(headers, NOON) is None


def test_client_measures_the_offset_by_the_current_operation() -> None:
    body = {"operation": OPERATION, "success": True}
    for headers, is_measured in ((at(NOON + HOUR), True), ({"Date": "soon"}, False)):
        with (
            faked(body, headers=headers)() as url,
            Client(WorkspaceConfig("default", url, USER_ID, TOKEN), now=lambda: NOON) as client,
        ):
            client.current_operation()
            offset = client.clock_offset
        assert offset == (HOUR + SECOND / 2 if is_measured else None)


# The rate limit, whose time is on Rocket.Chat's clock.


def reset_at(moment: datetime) -> dict[str, str]:
    return {"X-RateLimit-Reset": str(round(moment.timestamp() * 1000))}


@pytest.mark.parametrize("offset", [9 * MINUTE, -9 * MINUTE, 5 * HOUR, timedelta(0)])
def test_rate_limit_is_waited_for_by_our_clock(offset: timedelta) -> None:
    server_now = NOON + offset
    headers = at(server_now) | reset_at(server_now + 12 * SECOND)
    assert rate_limited_until(headers) == NOON + 12 * SECOND


def test_wait_in_the_text_needs_no_clock() -> None:
    for headers in ({}, at(NOON + 9 * MINUTE), at(NOON + 9 * MINUTE) | reset_at(NOON)):
        assert rate_limited_until(headers) == NOON + 12 * SECOND


def test_remaining_requests_are_spread_by_our_clock() -> None:
    server_now = NOON + 9 * MINUTE
    headers = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "3"}
    rate_limit = parse_rate_limit(
        headers | at(server_now) | reset_at(server_now + 12 * SECOND), received_at=NOON
    )
    assert rate_limit is not None
    assert rate_limit.resets_in == 12


def rate_limited_until(headers: Mapping[str, str]) -> datetime:
    """Return until when a client does not ask again, whose request was refused with 429."""
    with (
        faked({"success": False, "error": TOO_MANY}, 429, headers=headers)() as url,
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN), now=lambda: NOON) as client,
        pytest.raises(RateLimited) as caught,
    ):
        client.current_operation()
    return caught.value.until
