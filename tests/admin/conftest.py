"""Users with different permissions, and their clients."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from importmonitor.admin import export_limit, sync_now
from tests.admin.tokens import ALL
from tests.api.helpers import make_user

LogIn = Callable[..., Client]


@pytest.fixture(autouse=True, scope="session")
def _no_static_file_scan() -> Iterator[None]:
    """Keep WhiteNoise from listing all static files for each test's client."""
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture(autouse=True)
def _no_running_exports() -> None:
    """Forget the exports that another test did not read: its user may have had the same key."""
    export_limit._locks.clear()


@pytest.fixture
def log_in(db: None) -> LogIn:
    """Return a function that logs in a new staff user with these permissions."""

    def log_in(*codenames: str, is_staff: bool = True, **fields: Any) -> Client:
        client = Client()
        client.force_login(make_user("someone", *codenames, is_staff=is_staff, **fields))
        return client

    return log_in


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's client."""
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def ada(db: None) -> User:
    """A staff user with all permissions on API tokens, who can also see imports."""
    return make_user("ada", *ALL, "run-import", is_staff=True)


@pytest.fixture
def hers(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def patient_sync(shared_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """“Sync now” waits for the results, however slow the machine is."""
    monkeypatch.setattr(sync_now, "MAX_WAIT", 30.0)
