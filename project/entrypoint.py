"""The entry point of the image (Dockerfile): `python -m project.entrypoint ROLE [ARGUMENT...]`.

web          serve with gunicorn; with MIGRATE_ON_START=on, migrate first
watch        poll continuously
worker       run a Celery worker
beat         send Celery's tasks on schedule
manage       run a command of manage.py
healthcheck  exit with 1 unless the role `web` (by default) or `watch` is healthy

A role's own arguments follow, such as `watch --interval 10`.
"""

import fcntl
import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

COMMANDS = {
    "web": ["-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "project.wsgi"],
    "watch": ["manage.py", "sync_import_status", "--watch"],
    "worker": ["-m", "celery", "-A", "project.celery", "worker"],
    # Both files would be in the working directory, which can be read-only. After a restart, the
    # schedule begins anew.
    "beat": [
        *("-m", "celery", "-A", "project.celery", "beat"),
        *("--schedule", "/dev/shm/celerybeat-schedule", "--pidfile="),  # noqa: S108
    ],
    "manage": ["manage.py"],
}
#: Statements that try to acquire, and release, a lock that ends with its connection.
LOCKS = {
    # The number is this lock's name. Locks belong to a database.
    "postgresql": ("SELECT pg_try_advisory_lock(7283469)", "SELECT pg_advisory_unlock(7283469)"),
    # Locks belong to the server, and their names have at most 64 characters.
    "mysql": (
        "SELECT GET_LOCK(SHA1(CONCAT('importmonitor migrate ', DATABASE())), 0)",
        "SELECT RELEASE_LOCK(SHA1(CONCAT('importmonitor migrate ', DATABASE())))",
    ),
}
#: A watch polls every 10 minutes or more often, unless Rocket.Chat asks it to wait.
WATCH_TIMEOUT = timedelta(minutes=15)
_LOCK_INTERVAL = 0.5
_WEB_TIMEOUT = 5.0


def main(arguments: Sequence[str]) -> int:
    """Become the process of a role, or return the exit status."""
    role, *rest = arguments or [""]
    # Until the role handles signals itself: for a container's first process, the default
    # action of SIGTERM is none.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if role == "healthcheck" and rest in ([], ["web"], ["watch"]):
        return 0 if is_healthy(*rest) else 1
    status = 2
    if role not in COMMANDS:
        sys.stderr.write(str(__doc__))
    elif role != "web" or (status := prepare_web()) == 0:
        # No child process, so that signals reach the role.
        os.execv(sys.executable, [sys.executable, *COMMANDS[role], *rest])  # noqa: S606
    return status


def prepare_web() -> int:
    """Validate the settings, and migrate if they say so; return 0, or the exit status."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import OperationalError

    try:
        setup()
        from django.conf import settings

        if settings.MIGRATE_ON_START:
            migrate()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OperationalError as error:
        sys.stderr.write(f"The database cannot be migrated: {error}\n")
        return 1
    return 0


def setup() -> None:
    """Set Django up."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()


def migrate() -> None:
    """Migrate the database; of processes that start together, one at a time."""
    from django.core.management import call_command
    from django.db import connection

    with migration_lock(connection):
        call_command("migrate", interactive=False)
    connection.close()


@contextmanager
def migration_lock(connection: "BaseDatabaseWrapper") -> Iterator[None]:
    """Hold the lock of those who migrate a database.

    It is tried again and again: on PostgreSQL, a statement that waits for it would block
    CREATE INDEX CONCURRENTLY, for which its holder would wait in turn.
    """
    if connection.vendor == "sqlite":
        with Path(f"{connection.settings_dict['NAME']}.migrate").open("w") as file:
            while not _lock_file(file):
                time.sleep(_LOCK_INTERVAL)
            yield
        return
    acquire, release = LOCKS[connection.vendor]
    with connection.cursor() as cursor:
        while not _fetch(cursor, acquire):
            time.sleep(_LOCK_INTERVAL)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            _fetch(cursor, release)


def _lock_file(file: Any) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _fetch(cursor: Any, statement: str) -> Any:
    cursor.execute(statement)
    return cursor.fetchone()[0]


def is_healthy(role: str = "web") -> bool:
    """Return whether this container's role is healthy; a workspace that is down is no reason."""
    return _watch_is_healthy() if role == "watch" else _web_is_healthy()


def _web_is_healthy() -> bool:
    from django.conf import settings

    # The settings alone load in a fraction of the time.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    port = os.environ.get("BIND", "127.0.0.1:8000").rpartition(":")[2]
    # With any other host name, the response would be an error.
    host = settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_WEB_TIMEOUT)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        return connection.getresponse().status == HTTPStatus.OK
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return False
    finally:
        connection.close()


def _watch_is_healthy() -> bool:
    setup()
    from django.db import DatabaseError
    from django.utils import timezone

    from importmonitor.models import Workspace

    now = timezone.now()
    try:
        counts = Workspace.objects.count_polls(now - WATCH_TIMEOUT, now)
    except DatabaseError as error:
        sys.stderr.write(f"{error}\n")
        return False
    return counts.polled + counts.limited > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
