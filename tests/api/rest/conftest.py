"""What the tests of the REST face start from: somebody who may look, and asks."""

import pytest
from django.test import Client

from tests.api.helpers import credentials, make_user
from tests.api.rest.asking import Asking


@pytest.fixture
def asking(db: None) -> Asking:
    """Somebody who may see imports, and nothing else."""
    return Asking(Client(), credentials(make_user("viewer", "view_importoperation")))
