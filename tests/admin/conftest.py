"""What the tests of the admin start from: people with different rights."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from tests.admin.tokens import ALL
from tests.api.helpers import make_user

LogIn = Callable[..., Client]


@pytest.fixture(autouse=True, scope="session")
def _quick_clients() -> Iterator[None]:
    """Spare each test's client the list of all static files that WhiteNoise begins with."""
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture
def log_in(db: None) -> LogIn:
    """Log a new member of the staff in, who has these permissions."""

    def log_in(*codenames: str, is_staff: bool = True, **fields: bool) -> Client:
        client = Client()
        client.force_login(make_user("someone", *codenames, is_staff=is_staff, **fields))
        return client

    return log_in


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def ada(db: None) -> User:
    """Somebody of the staff who may do everything with API tokens, and see imports."""
    return make_user("ada", *ALL, "run-import", is_staff=True)


@pytest.fixture
def hers(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client
