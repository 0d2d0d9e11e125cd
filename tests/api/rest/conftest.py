"""Fixtures of the REST API tests."""

import pytest
from django.test import Client

from tests.api.helpers import credentials, make_user
from tests.api.rest.api_client import ApiClient


@pytest.fixture
def api(db: None) -> ApiClient:
    """A client with the credentials of a user who can only view imports."""
    return ApiClient(Client(), credentials(make_user("viewer", "view_importoperation")))
