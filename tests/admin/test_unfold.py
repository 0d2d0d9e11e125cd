"""All pages under django-unfold, which replaces the admin's templates."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.conftest import AUTH_TOKEN

UNDER_UNFOLD = """
import os
from tests import settings
settings.INSTALLED_APPS.insert(0, "unfold")
settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
from django.test.utils import setup_test_environment
from importmonitor.models import ApiToken, ImportOperation, Workspace
from tests.admin.helpers import change_url, save_rows
from tests.admin.test_alerts_page import make_alert
from tests.api.helpers import RUNNING, make_user, sync
setup_test_environment()
sync(RUNNING)
save_rows(60, workspace="other")
alert = make_alert("one")
root = make_user("root", is_staff=True, is_superuser=True)
token, _ = ApiToken.objects.issue(root, name="dashboard")
client = Client()
client.force_login(root)
folder = "/admin/importmonitor/"
history = folder + "importoperation/"
running = change_url(ImportOperation.objects.get(remote_id=RUNNING["_id"]))
expected = {
    "/admin/": "1 running",
    history: "people.csv",
    history + "?p=2": "page",
    history + "?outcome=failed&q=csv": "failed",
    history + "?outcome=nonsense": "No imports match these filters",
    running: "people.csv",
    folder + "workspace/": "30 d",
    folder + f"workspace/{Workspace.objects.get().pk}/change/": "Availability",
    folder + "alert/": "import.failed",
    folder + f"alert/{alert.pk}/change/": "import.failed",
    folder + "apitoken/": "dashboard",
    folder + "apitoken/add/": "name",
    folder + "apitoken/revoke/": "dashboard",
    folder + f"apitoken/{token.pk}/change/": "dashboard",
    folder + f"apitoken/{token.pk}/delete/": "dashboard",
}
for path, words in expected.items():
    response = client.get(path)
    assert response.status_code == 200, (path, response.status_code)
    assert words in response.content.decode(), (path, words)
    assert any("unfold" in (template.origin.name or "") for template in response.templates), path
note = client.post(running, {"note": "mine"}, follow=True)
assert note.status_code == 200
assert ImportOperation.objects.get(remote_id=RUNNING["_id"]).note == "mine"
assert client.get(history + "export/csv/").status_code == 200
assert client.post(history + "sync/", follow=True).status_code == 200
print("all pages work", len(expected))
"""


@pytest.mark.skipif(not importlib.util.find_spec("unfold"), reason="django-unfold is not installed")
def test_all_pages_work_under_unfold() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNDER_UNFOLD],
        env=os.environ | {"IMPORTMONITOR_REMEMBER_FOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "all pages work" in done.stdout
    assert AUTH_TOKEN not in done.stdout + done.stderr
