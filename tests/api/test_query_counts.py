"""The number of queries for a response."""

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from importmonitor.models import ApiToken
from tests.api.helpers import (
    PATH,
    RUNNING,
    credentials,
    make_user,
    sync,
    sync_nothing,
    sync_refused,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _use_recorded(headers: dict[str, str], root: dict[str, str]) -> None:
    """Start with the use of the tokens recorded."""
    ApiToken.objects.update(last_used_at=timezone.now())


@pytest.fixture
def root() -> dict[str, str]:
    return credentials(make_user("root", is_superuser=True))


def test_operation_takes_five_queries(
    client: Client, headers: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    # The token with its user, the user's and the groups' permissions, the workspace, the operation.
    with django_assert_num_queries(5):
        etag = client.get(PATH, headers=headers)["ETag"]
    with django_assert_num_queries(5):
        client.get(PATH, headers=headers | {"If-None-Match": etag})


def test_superuser_takes_three_queries(
    client: Client, root: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    with django_assert_num_queries(3):
        client.get(PATH, headers=root)


def test_missing_operation_takes_two_queries(
    client: Client, root: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        assert client.get(PATH, headers=root).status_code == 503
    sync_nothing()
    with django_assert_num_queries(2):
        client.get(PATH, headers=root)


def test_failing_workspace_takes_no_more_queries(
    client: Client, root: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    sync_refused()
    with django_assert_num_queries(3):
        client.get(PATH, headers=root)


def test_refusals_take_at_most_one_query(
    client: Client, headers: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        client.get(PATH)
    with django_assert_num_queries(0):
        client.post(PATH, headers=headers)
    with django_assert_num_queries(1):
        client.get(PATH, headers=headers | {"X-Auth-Token": "wrong"})
    with django_assert_num_queries(1):
        client.get(PATH + "?a=1", headers=headers)
