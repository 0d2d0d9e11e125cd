"""A cron command loads what it needs: each of these costs a tenth of its start-up, or more."""

import json

import pytest

from tests.process.processes import Project

# The modules of a process are known only inside it, and after the command.
CHILD = """
import atexit, json, runpy, sys
sys.argv = sys.argv[1:]
atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NEVER = {
    "rest_framework",
    "django.contrib.postgres",
    "whitenoise",
    "project.urls",
    "importmonitor.urls",
    "importmonitor.api",
}


@pytest.mark.parametrize(
    ("arguments", "asks"), [((), True), (("--help",), False)], ids=["sync", "help"]
)
@pytest.mark.thorough(one_in=2)
def test_what_the_command_imports(project: Project, arguments: tuple[str, ...], asks: bool) -> None:
    ended = project.run("-c", CHILD, "manage.py", "sync_import_status", *arguments)
    assert ended.returncode == 0
    imported = set(json.loads(ended.stderr))
    assert "importmonitor.sync.poll" in imported
    assert imported & NEVER == set()
    assert ("requests" in imported) is asks
    assert ("importmonitor.rocketchat.client" in imported) is asks
