"""Hosts with django-tenants: a schema for each tenant, and nothing of one is shown to another."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.project import run, use_settings
from tests.hosts.servers import need
from tests.process.databases import Database, new_database

pytestmark = need(package="django_tenants", variable="POSTGRES_URL")

TENANTS = ("acme", "globex")
ALIASES = ("default", "second")
#: The addresses of the workspaces, by tenant and alias.
ADDRESSES: dict[tuple[str, str], str] = {}


def workspaces() -> dict[str, Any]:
    """Return the workspaces of the present tenant, for the settings."""
    from django.db import connection

    from tests.conftest import AUTH_TOKEN, USER_ID

    tenant = getattr(connection, "schema_name")  # noqa: B009 - only django-tenants has it
    credentials = {"USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
    return {
        alias: credentials | {"URL": url}
        for (name, alias), url in ADDRESSES.items()
        if name == tenant
    }


def use_tenants(database_url: str) -> None:
    """Set up a host with two tenants."""
    import environ

    from tests import settings

    database = environ.Env.db_url_config(database_url)
    use_settings(
        DATABASES={"default": database | {"ENGINE": "django_tenants.postgresql_backend"}},
        DATABASE_ROUTERS=["django_tenants.routers.TenantSyncRouter"],
        INSTALLED_APPS=["django_tenants", "tests.hosts.tenants", *settings.INSTALLED_APPS],
        SHARED_APPS=["django_tenants", "tests.hosts.tenants", "django.contrib.contenttypes"],
        TENANT_APPS=settings.INSTALLED_APPS,
        TENANT_MODEL="tenants.Tenant",
        TENANT_DOMAIN_MODEL="tenants.Domain",
        MIDDLEWARE=["django_tenants.middleware.main.TenantMainMiddleware", *settings.MIDDLEWARE],
        ALLOWED_HOSTS=["*"],
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        # Without a KEY_FUNCTION.
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        IMPORTMONITOR={
            "WORKSPACES": f"{__name__}.workspaces",
            "REMEMBER_FOR": timedelta(seconds=1),
            "CHANNELS": {
                "ops": {
                    "BACKEND": "importmonitor.alerts.channels.EmailChannel",
                    "TO": ["ops@example.org"],
                }
            },
        },
    )

    from django.core.management import call_command
    from django_tenants.utils import schema_context

    from tests.admin.test_retry_delivery import make_alert
    from tests.api.helpers import NOON
    from tests.hosts.tenants.models import Domain, Tenant

    for _ in range(2):
        # The second time as at the next deployment.
        call_command("migrate_schemas", schema_name="public", verbosity=0)
    for name in TENANTS:
        tenant = Tenant(schema_name=name, name=name)
        tenant.save(verbosity=0)
        Domain.objects.create(domain=f"{name}.example", tenant=tenant)
        with schema_context(name):
            make_alert(name, next_attempt_at=NOON, given_up_at=None)
    for name in ("public", *TENANTS):
        with schema_context(name):
            call_command("check", databases=["default"])


@contextmanager
def served() -> Iterator[None]:
    """Serve every tenant's workspaces, each with an import of its own file."""
    from datetime import UTC, datetime

    from simulator.clock import Clock
    from simulator.server import Server
    from simulator.workspace import Workspace
    from tests.conftest import AUTH_TOKEN, USER_ID

    with ExitStack() as stack:
        for seed, (name, alias) in enumerate(
            (name, alias) for name in TENANTS for alias in ALIASES
        ):
            workspace = Workspace(Clock(datetime.now(UTC)), seed=seed, rate_limit=None)
            workspace.add_user(USER_ID, AUTH_TOKEN)
            workspace.start_import("csv", file_name=f"{name}-{alias}.csv", seconds=60)
            workspace.clock.advance(20)
            ADDRESSES[name, alias] = stack.enter_context(Server(workspace)).url
        yield


def assert_separate() -> None:
    """Every tenant has its own imports, and its alert was delivered."""
    from django_tenants.utils import schema_context

    from importmonitor.models import Alert, ImportOperation, Workspace

    for name in TENANTS:
        with schema_context(name):
            rows = Workspace.objects.order_by("alias")
            assert [(row.alias, row.is_good) for row in rows] == [(a, True) for a in ALIASES]
            files = [operation.file_name for operation in ImportOperation.objects.all()]
            assert sorted(files) == [f"{name}-{alias}.csv" for alias in ALIASES]
            assert Alert.objects.get().delivered_at


def sync_by_commands(database_url: str) -> None:
    """Poll both tenants' workspaces side by side, once and continuously."""
    use_tenants(database_url)

    from django.core.management import call_command, execute_from_command_line
    from django_tenants.utils import schema_context

    from importmonitor.models import Workspace

    with served():
        with schema_context("acme"):
            call_command("sync_import_status", verbosity=0)
        watch = ("--watch", "--interval=0.1", "--timeout=3", "--verbosity=0")
        argv = ["manage.py", "tenant_command", "sync_import_status", "--schema=globex", *watch]
        with pytest.raises(SystemExit):
            execute_from_command_line(argv)
        assert_separate()
        with schema_context("globex"):
            assert Workspace.objects.get(alias="default").period_polls > 2


def use_pages(database_url: str) -> None:
    """Use the admin and the endpoints of both tenants in one process."""
    use_tenants(database_url)

    from django.contrib.auth.models import User
    from django.test import Client
    from django.utils import timezone
    from django_tenants.utils import schema_context

    from importmonitor.admin.weeks import recent_weeks
    from importmonitor.models import ApiToken, ImportOperation
    from tests.admin.helpers import HISTORY, SYNC, make_row
    from tests.api.helpers import EVERYTHING, PATH
    from tests.conftest import join_threads

    clients, headers = {}, {}
    for name in TENANTS:
        with schema_context(name):
            user = User.objects.create_superuser("root")
            token = ApiToken.objects.issue(user)[1]
            headers[name] = {"X-User-Id": str(user.pk), "X-Auth-Token": str(token)}
            clients[name] = Client(headers={"Host": f"{name}.example"})
            clients[name].force_login(user)
    with served():
        for name in TENANTS:
            assert clients[name].post(SYNC).status_code == 302
        join_threads()
        assert_separate()
    for name, other in (TENANTS, TENANTS[::-1]):
        page = clients[name].get(HISTORY).text
        assert f"{name}-default.csv" in page
        assert f"{other}-" not in page
        response = clients[name].get(PATH, headers=headers[name])
        assert response.status_code == 200
        assert f"{name}-default.csv" in response.text
        # Within the second in which the response is cached; both users have the same id.
        assert clients[other].get(PATH, headers=headers[name]).status_code == 401
        # What one exports does not wait for the other.
        assert clients[name].get(f"{HISTORY}export/csv/").status_code == 200
    now = timezone.now()
    for count, name in enumerate(TENANTS):
        with schema_context(name):
            ImportOperation.objects.bulk_create(
                make_row(number, started_at=now - timedelta(weeks=2), end_reason="done")
                for number in range(count)
            )
            weeks = recent_weeks(EVERYTHING, "", timezone.localdate() + timedelta(weeks=1))
            past = [sum(week.counts.values()) for week in weeks if week.start < now.date()]
            assert sum(past) == count, name


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("TEST_DATABASE_URL", os.environ["POSTGRES_URL"])
    with new_database(tmp_path) as database:
        yield database


@pytest.mark.parametrize("function", [sync_by_commands, use_pages])
def test_tenants_are_separate(database: Database, function: Any) -> None:
    run(function, database.url, TEST_DATABASE_URL="")
