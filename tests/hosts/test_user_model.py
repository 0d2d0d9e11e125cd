"""A host with a user model of its own: its manager, name and key are not those of Django's."""

import os
import subprocess
import sys

import pytest


@pytest.mark.long
@pytest.mark.parametrize("model", ["Person", "Robot"])
def test_users_of_another_model_can_do_everything(model: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hosts.people.use", model],
        env=os.environ | {"IMPORTMONITOR_REMEMBER_FOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert done.stdout.splitlines()[-1] == "all works"
