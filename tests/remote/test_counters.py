"""What Rocket.Chat's counters mean, with the figures of its own importers."""

from typing import Any

import pytest

from importmonitor.rocketchat.counters import Counters, stride, users_counted_twice

USERS, CHANNELS, MESSAGES = (
    f"importer_importing_{kind}" for kind in ("users", "channels", "messages")
)
#: A file of 120 users, 4 channels and 1,200 messages.
FILE = {"users": 120, "channels": 4, "total": 1324}


def counted_twice(status: str, handled: int | None, **changes: Any) -> bool | None:
    """Return whether users are counted twice, by default of a CSV import of FILE."""
    importer_key = changes.pop("importer_key", "csv")
    values = FILE | {"handled": handled} | changes
    return users_counted_twice(importer_key, status, **values)


def counters(**fields: Any) -> Counters:
    defaults = {"total": 1324, "completed": 0, "error": 0, "users": 120, "users_twice": None}
    return Counters(**defaults | fields)


# Whether users are counted twice.


@pytest.mark.parametrize(
    ("status", "handled", "twice"),
    [
        ("importer_user_selection", None, None),
        ("importer_user_selection", 0, None),
        # One by one: both releases write 50, 100 and 120.
        (USERS, 0, None),
        (USERS, 50, None),
        (USERS, 120, None),
        # A record or two too many is no evidence: 472 of 472 ended as 473.
        (USERS, 122, None),
        (USERS, 123, True),
        (USERS, 240, True),
        (CHANNELS, 240, True),
        # Counted twice, at least 191 are written before the first message.
        (CHANNELS, 124, False),
        (CHANNELS, 189, True),
        (MESSAGES, 124, False),
        (MESSAGES, 189, False),
        (MESSAGES, 240, None),
        (MESSAGES, 1324, None),
        (MESSAGES, 1444, True),
        ("importer_finishing", 1326, None),
        ("importer_finishing", 1327, True),
        ("importer_done", 1444, True),
        ("importer_done", 1324, False),
        ("importer_done", 1325, None),
        ("importer_done", 900, None),
        ("importer_done", 0, None),
    ],
)
def test_counters_show_whether_users_are_counted_twice(
    status: str, handled: int, twice: bool | None
) -> None:
    assert counted_twice(status, handled) is twice


@pytest.mark.parametrize("importer_key", ["api", "pending-files", "pending-avatars", "unheard-of"])
def test_other_importers_count_users_once(importer_key: str) -> None:
    assert counted_twice("importer_done", 1444, importer_key=importer_key) is False


@pytest.mark.parametrize("importer_key", ["csv", "slack", "slack-users"])
def test_contacts_step_means_counted_twice(importer_key: str) -> None:
    """It came with the release that does."""
    status = "importer_importing_contacts"
    assert counted_twice(status, None, importer_key=importer_key) is True


@pytest.mark.parametrize("users", [None, 0, -3])
def test_file_without_users_counts_none_twice(users: int | None) -> None:
    assert counted_twice(USERS, 5, users=users) is False
    # `total` is written last: without it the users can still come.
    assert counted_twice(USERS, 5, users=users, total=None) is None


@pytest.mark.parametrize("twice", [True, False])
def test_no_import_contradicts_itself(twice: bool) -> None:
    """Every state that one release writes, with any number of records that are not written yet."""
    factor = 2 if twice else 1
    before = {USERS: 0, CHANNELS: 120 * factor, MESSAGES: 120 * factor + 4}
    records = {USERS: 120 * factor, CHANNELS: 4, MESSAGES: 1200}
    for status, start in before.items():
        for count in range(records[status] + 1):
            for unwritten in (0, 1, 49):
                handled = max(start + count - unwritten, 0)
                assert counted_twice(status, handled) in (None, twice), (status, handled)


# Progress.


def test_failed_users_are_completed_and_errors() -> None:
    """The sheet: 100 users, 10 failed, are `completed` 190 and `error` 10, of a total of 100."""
    result = counters(total=100, completed=190, error=10, users=100, users_twice=True)
    assert result.handled == result.target == 200
    assert result.is_full
    assert result.percent(has_ended=True) == 100
    assert result.percent(has_ended=False) == 99


def test_full_import_with_users_counted_twice() -> None:
    """The sheet: a full import of 1,324 ends at 1,444."""
    after_users = counters(completed=240, users_twice=True)
    assert after_users.target == 1444
    assert after_users.records == 120
    assert after_users.percent(has_ended=False) == 9
    assert not after_users.is_full
    full = counters(completed=1444, users_twice=True)
    assert full.is_full
    assert (full.percent(has_ended=False), full.percent(has_ended=True)) == (99, 100)
    # The total is reached long before the end.
    assert counters(completed=1324, users_twice=True).percent(has_ended=False) == 90
    assert not counters(completed=1324, users_twice=True).is_full


def test_record_too_many_is_100_percent() -> None:
    """The sheet: 472 of 472 ended as 473."""
    for twice in (None, False):
        result = counters(total=472, completed=473, users=100, users_twice=twice)
        assert result.is_full
        assert result.percent(has_ended=True) == 100
    assert counters(total=135, completed=179, users=None, users_twice=False).is_full


@pytest.mark.parametrize(
    ("completed", "is_full"), [(1323, False), (1324, True), (1326, True), (1327, False)]
)
def test_fullness_of_unknown_counting(completed: int, is_full: bool) -> None:
    """More than the total is counted twice, so that some are missing up to the total and users."""
    result = counters(completed=completed)
    assert result.is_full is is_full
    assert result.target is None
    # The lower of two numbers that may differ by 120 of 1,324 would be a guess.
    assert result.percent(has_ended=False) is None
    assert (result.percent(has_ended=True) == 100) is is_full


@pytest.mark.parametrize(
    ("fields", "is_full", "percent"),
    [
        ({"total": None, "completed": None}, True, None),
        ({"total": None, "completed": 7}, True, None),
        ({"total": 0, "completed": None}, True, None),
        ({"total": 0, "completed": 0}, True, None),
        ({"total": -5, "completed": 3}, True, None),
        # Never counted: not "done, 100 %".
        ({"completed": None}, False, None),
        ({"completed": 0}, False, 0),
        ({"completed": -5}, False, 0),
        ({"completed": 500, "error": -5}, False, 37),
        ({"completed": 500, "error": None, "users": None}, False, 37),
        ({"total": 2**63 - 1, "completed": 2**63 - 1}, True, 100),
    ],
)
def test_odd_counters(fields: dict[str, Any], is_full: bool, percent: int | None) -> None:
    result = counters(**{"users_twice": False} | fields)
    assert result.is_full is is_full
    assert result.percent(has_ended=True) == percent
    before_end = result.percent(has_ended=False)
    assert before_end == (99 if percent == 100 else percent)


def test_percent_is_rounded_down() -> None:
    result = counters(total=1_000_000, completed=999_999, users_twice=False)
    assert result.percent(has_ended=True) == 99


@pytest.mark.parametrize(
    ("importer_key", "status", "records"),
    [
        ("csv", USERS, 50),
        ("csv", MESSAGES, 500),
        ("slack", MESSAGES, 500),
        ("pending-files", "importer_importing_files", 500),
        ("pending-avatars", "importer_preparing_started", 1),
        ("", "", 1),
    ],
)
def test_stride_of_the_counters(importer_key: str, status: str, records: int) -> None:
    assert stride(importer_key, status) == records
