"""A host with a user model of its own: its manager, name and key are not those of Django's."""

import pytest

from tests.hosts.project import run_module


@pytest.mark.long
@pytest.mark.parametrize("model", ["Person", "Robot"])
def test_users_of_another_model_can_do_everything(model: str) -> None:
    assert run_module("tests.hosts.people.use", model).splitlines()[-1] == "all works"
