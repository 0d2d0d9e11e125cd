"""Fixtures of the API tests: a user with a permission, and credentials."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from tests.api.helpers import credentials, make_user


@pytest.fixture(autouse=True, scope="session")
def _quick_clients() -> Iterator[None]:
    """Spare the test clients WhiteNoise's scan of all static files."""
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture
def tool(db: None) -> User:
    """An internal tool that may see the current import."""
    return make_user("tool", "run-import")


@pytest.fixture
def headers(tool: User) -> dict[str, str]:
    """The credentials of that tool."""
    return credentials(tool)
