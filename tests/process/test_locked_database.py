"""What another connection has locked holds up no response."""

from tests.process.processes import Project

READER = """
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from importmonitor.models import ApiToken

def read():
    return Client().get("/api/v1/getCurrentImportOperation", headers=headers, secure=True)

call_command("sync_import_status", verbosity=0)
user = User.objects.create_superuser("tool")
token, text = ApiToken.objects.issue(user, name="dashboard")
headers = {"X-User-Id": str(user.pk), "X-Auth-Token": text}
other = connection.copy()
with other.cursor() as writer:
    writer.execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
    writer.execute("UPDATE importmonitor_apitoken SET name = 'locked'")
    print(read().status_code, read().status_code, ApiToken.objects.get().last_used_at)
    writer.execute("ROLLBACK")
other.close()
print(read().status_code, ApiToken.objects.get().last_used_at is not None)
"""


def test_first_use_of_a_token_waits_for_no_lock(project: Project) -> None:
    url = project.database.url
    result = project.run(
        "-c",
        READER,
        ALLOWED_HOSTS="testserver",
        DJANGO_SETTINGS_MODULE="project.settings",
        IMPORTMONITOR_REMEMBER_FOR="0",
        # SQLite's time-out, longer than a test waits for a process.
        DATABASE_URL=f"{url}?timeout=3600" if project.database.kind == "sqlite" else url,
    )
    assert (result.stdout, result.returncode) == ("200 200 None\n200 True\n", 0), result.stderr
