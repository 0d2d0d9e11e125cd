"""The names of the users who started imports: requested once, kept, and never a reason to fail."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import ImportOperation
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    PermissionMissing,
    RocketChatError,
    Unauthenticated,
    Unreachable,
)
from importmonitor.rocketchat.rate_limit import RateLimit
from importmonitor.sync.interval import leaves_enough
from importmonitor.sync.poll import SyncResult
from simulator.limiter import Limiter
from simulator.workspace import BYPASS_RATE_LIMIT, RUN_IMPORT, Workspace
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.fake_client import FakeClient
from tests.sync.polling import poll

pytestmark = pytest.mark.django_db

ADA, JOSE, MEI = "d26x6zSkaPSe5gCyy", "Hb7kQm3ZtYwN9xRfs", "qW4eRt8yKpLs2dFgh"


def run_import(rocketchat: Workspace, user: str, seconds: float = 60) -> None:
    """Run an import to its end."""
    rocketchat.start_import("csv", seconds=60, user=user)
    rocketchat.clock.advance(seconds)


def poll_later(rocketchat: Workspace, seconds: float = 10) -> SyncResult:
    rocketchat.clock.advance(seconds)
    result = poll(rocketchat)
    assert result.ok, result.error
    return result


def requested(rocketchat: Workspace) -> int:
    """Return how many names were requested."""
    return sum(count for (path, _), count in rocketchat.requests.items() if "users.info" in path)


def names() -> list[str | None]:
    """Return the names of the operations, oldest first."""
    rows = ImportOperation.objects.order_by("started_at", "pk")
    return list(rows.values_list("remote_user_name", flat=True))


def refuse(monkeypatch: pytest.MonkeyPatch, error: RocketChatError) -> None:
    def user_name(_client: Client, _user_id: str) -> str:
        raise error

    monkeypatch.setattr(Client, "user_name", user_name)


def test_name_is_requested_once_for_each_user(rocketchat: Workspace) -> None:
    run_import(rocketchat, ADA)
    poll_later(rocketchat)
    run_import(rocketchat, JOSE)
    poll_later(rocketchat)
    assert requested(rocketchat) == 2
    run_import(rocketchat, ADA, seconds=30)
    for _ in range(5):
        poll_later(rocketchat)
    assert names() == ["Ada Lovelace", "José Álvarez", "Ada Lovelace"]
    assert requested(rocketchat) == 2


def test_user_without_a_name_is_shown_by_the_user_name(rocketchat: Workspace) -> None:
    rocketchat.people[ADA] = ("ada", None)
    run_import(rocketchat, ADA)
    poll_later(rocketchat)
    assert ImportOperation.objects.get().started_by == "ada"


def test_unknown_user_is_not_asked_for_again_before_the_next_import(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=600, user="gone")
    for _ in range(4):
        poll_later(rocketchat, 60)
    operation = ImportOperation.objects.get()
    assert (operation.remote_user_name, operation.started_by) == ("", "gone")
    assert requested(rocketchat) == 1
    # The next import finds the name, and names the one before.
    rocketchat.people["gone"] = ("back", "Back Again")
    run_import(rocketchat, "gone")
    poll_later(rocketchat)
    assert names() == ["Back Again", "Back Again"]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Unreachable("Down."), None),
        (Unauthenticated("Revoked just now."), None),
        (BadAnswer("User not found."), ""),
        (PermissionMissing("Refused.", permission="view-outside-room"), ""),
    ],
)
def test_failure_fails_no_poll_and_a_transient_one_is_repeated(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch, error: RocketChatError, name: str | None
) -> None:
    rocketchat.start_import("csv", seconds=600, user=ADA)
    with monkeypatch.context() as patch:
        refuse(patch, error)
        poll_later(rocketchat)
        row = WorkspaceRow.objects.get()
        assert (row.sync_status, row.not_before, row.message) == ("ok", None, "")
        assert names() == [name]
    poll_later(rocketchat, 120)
    assert names() == [name if name == "" else "Ada Lovelace"]


def test_idle_poll_does_not_repeat_a_request(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_import(rocketchat, ADA, seconds=90)
    with monkeypatch.context() as patch:
        refuse(patch, Unreachable("Down."))
        poll_later(rocketchat)
    for _ in range(3):
        assert poll_later(rocketchat).changes == []
    assert requested(rocketchat) == 0
    assert names() == [None]


def test_rate_limit_of_names_does_not_delay_polls(rocketchat: Workspace) -> None:
    rocketchat.limiter = Limiter(10, rocketchat.clock)
    for _ in range(10):
        rocketchat.limiter.take("127.0.0.1", "/api/v1/users.info", rocketchat.server_time())
    rocketchat.start_import("csv", seconds=600, user=ADA)
    poll_later(rocketchat, 1)
    assert (requested(rocketchat), names()) == (1, [None])
    assert WorkspaceRow.objects.get().not_before is None
    poll_later(rocketchat, 90)
    assert names() == ["Ada Lovelace"]


def test_name_waits_while_the_rate_limit_leaves_little(rocketchat: Workspace) -> None:
    rocketchat.limiter = Limiter(10, rocketchat.clock)
    for _ in range(7):
        rocketchat.limiter.take(
            "127.0.0.1", "/api/v1/getCurrentImportOperation", rocketchat.server_time()
        )
    rocketchat.start_import("csv", seconds=600, user=ADA)
    poll_later(rocketchat, 1)
    assert (requested(rocketchat), names()) == (0, [None])
    poll_later(rocketchat, 90)
    assert (requested(rocketchat), names()) == (1, ["Ada Lovelace"])


@pytest.mark.parametrize(("remaining", "enough"), [(9, True), (3, True), (2, False), (0, False)])
def test_a_fifth_of_the_limit_is_left_to_others(remaining: int, enough: bool) -> None:
    assert leaves_enough(RateLimit(10, remaining, 30)) is enough
    assert leaves_enough(None)


def test_one_poll_requests_one_name_at_most(rocketchat: Workspace) -> None:
    for user in (ADA, JOSE, MEI):
        run_import(rocketchat, user)
    poll_later(rocketchat)
    # That of the current import comes first.
    assert names() == [None, None, "Mei Lin"]
    assert requested(rocketchat) == 1
    # Whenever the list is received, one more.
    poll_later(rocketchat, 25 * 3600)
    poll_later(rocketchat, 25 * 3600)
    poll_later(rocketchat, 25 * 3600)
    assert names() == ["Ada Lovelace", "José Álvarez", "Mei Lin"]
    assert requested(rocketchat) == 3


def test_imports_before_the_list_get_the_name_too(rocketchat: Workspace, settings: Any) -> None:
    """As after an upgrade, or when the setting is turned on."""
    workspaces = settings.IMPORTMONITOR
    settings.IMPORTMONITOR = {**workspaces, "USER_NAMES": False}
    for _ in range(25):
        run_import(rocketchat, ADA)
        poll_later(rocketchat)
    ImportOperation.objects.create(
        workspace="other",
        remote_id="x",
        remote_user_id=ADA,
        **dict.fromkeys(
            ("started_at", "first_seen_at", "last_seen_at", "last_progress_at"),
            rocketchat.clock.now(),
        ),
    )
    assert requested(rocketchat) == 0
    assert set(names()) == {None}
    settings.IMPORTMONITOR = workspaces
    run_import(rocketchat, ADA)
    at = rocketchat.clock.now()
    poll_later(rocketchat)
    assert requested(rocketchat) == 1
    own = ImportOperation.objects.filter(workspace="default")
    assert set(own.values_list("remote_user_name", flat=True)) == {"Ada Lovelace"}
    # Caches of the API go by this time.
    assert not own.filter(modified_at__lt=at).exists()
    assert ImportOperation.objects.get(workspace="other").remote_user_name is None


def test_pruned_imports_need_no_names(rocketchat: Workspace) -> None:
    run_import(rocketchat, JOSE)
    run_import(rocketchat, ADA)
    poll_later(rocketchat)
    before = rocketchat.clock.now()
    ImportOperation.objects.filter(remote_user_id=JOSE).delete()
    WorkspaceRow.objects.update(pruned_before=before - timedelta(seconds=60))
    poll_later(rocketchat, 25 * 3600)
    assert requested(rocketchat) == 1


def test_dry_run_shows_the_name_and_stores_nothing(rocketchat: Workspace) -> None:
    run_import(rocketchat, ADA)
    result = poll(rocketchat, dry_run=True)
    assert result.changes[0].updated["remote_user_name"] == (None, "Ada Lovelace")
    assert names() == []


def test_name_follows_the_user(rocketchat: Workspace) -> None:
    """A Rocket.Chat that was restored from a backup can have another import under the same id."""
    run_import(rocketchat, ADA)
    poll_later(rocketchat)
    document = dict(rocketchat.current() or {})
    client: Any = FakeClient(document | {"user": MEI})
    assert poll(rocketchat, client=client).ok
    assert ImportOperation.objects.get().started_by == MEI
    client = FakeClient(document | {"user": JOSE})
    client.rate_limit, client.user_name = None, lambda user_id: rocketchat.people[user_id][1]
    assert poll(rocketchat, client=client).ok
    assert ImportOperation.objects.get().started_by == "José Álvarez"


def test_name_needs_no_permission_but_the_poll_s_own(rocketchat: Workspace) -> None:
    rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=(RUN_IMPORT, BYPASS_RATE_LIMIT))
    run_import(rocketchat, ADA)
    poll_later(rocketchat)
    assert names() == ["Ada Lovelace"]
