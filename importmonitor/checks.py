"""System checks: every mistake in the settings, with an id and a hint."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.models import Model

from importmonitor import conf

#: How far the clock of the database's host may be off.
MAX_CLOCK_DIFFERENCE = timedelta(seconds=5)

PERMISSIONS = ("run-import", "view-import-operations")


def register_all() -> None:
    """Register the app's checks with Django."""
    checks.register(check_settings)
    checks.register(check_channels)
    checks.register(check_proxies)
    checks.register(check_users)
    checks.register(check_permissions, checks.Tags.database)
    checks.register(check_charsets, checks.Tags.database)
    checks.register(check_clock, checks.Tags.database)


def check_settings(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report every mistake in the settings.

    What is missing is a warning: an error would stop `migrate` and almost every other command.
    """
    return [
        (checks.Error if problem.is_error and not problem.is_missing else checks.Warning)(
            problem.message, hint=problem.hint, id=f"importmonitor.{problem.id}"
        )
        for problem in conf.find_problems()
    ]


def check_channels(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report every channel whose backend cannot be made of its options.

    A warning if one of them is empty: it may be set where the service runs.
    """
    from importmonitor.alerts.channels import Misconfigured, load_backend

    messages: list[checks.CheckMessage] = []
    for channel in conf.get_options().channels.values():
        try:
            load_backend(channel)
        except Misconfigured as error:
            messages.append(
                (checks.Error if all(channel.options.values()) else checks.Warning)(
                    f"The channel {channel.name!r} cannot be used: {error}",
                    hint="Correct IMPORTMONITOR['CHANNELS'], then test the channel with "
                    "`manage.py send_test_alert`.",
                    id="importmonitor.E020",
                )
            )
    return messages


def check_proxies(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Warn of every token that passes a proxy in the clear."""
    workspaces = conf.read_workspaces()
    plain = [workspace for workspace in workspaces if workspace.url.lower().startswith("http:")]
    if not plain:
        return []
    from importmonitor.rocketchat.client import proxy_address, proxy_for

    warnings: list[checks.CheckMessage] = []
    for workspace in plain:
        try:
            proxy = proxy_for(workspace.url)
        except ValueError:
            # No request is sent, and each poll says so.
            continue
        if proxy is not None:
            warnings.append(
                checks.Warning(
                    f"The token of the workspace {workspace.alias!r} passes the proxy "
                    f"{proxy_address(proxy)} in the clear.",
                    hint="Use https:// for its URL, or add its host to the environment variable "
                    "NO_PROXY.",
                    id="importmonitor.W006",
                )
            )
    return warnings


def check_users(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Warn of API tokens in another database than their users: Django cannot join these.

    No error: it would keep `migrate` from creating the tables of all apps.
    """
    from django.contrib.auth import get_user_model
    from django.db import router

    from importmonitor.models import ApiToken

    tokens, users = (router.db_for_write(model) for model in (ApiToken, get_user_model()))
    if tokens == users:
        return []
    return [
        checks.Warning(
            f"The API tokens are in the database {tokens!r}, and their users in {users!r}: no "
            "token can be created or used.",
            hint=f"Have the router send the model importmonitor.ApiToken to {users!r}; the other "
            "models can be in any database.",
            id="importmonitor.W007",
        )
    ]


def check_permissions(
    *, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report which of the app's permissions a migrated database lacks (with `check --database`).

    No error while there are unapplied migrations: `migrate` itself runs these checks first, and
    an error would keep it from creating the permissions.
    """
    from django.contrib.auth.models import Permission

    from importmonitor.models import ApiToken

    errors: list[checks.CheckMessage] = []
    for alias in databases or []:
        # API tokens are where the users and their permissions are.
        if not (_has_table(alias, Permission) and _has_table(alias, ApiToken)):
            continue
        if not _is_migrated(alias):
            continue
        existing = set(
            Permission.objects.using(alias)
            .filter(content_type__app_label="importmonitor", codename__in=PERMISSIONS)
            .values_list("codename", flat=True)
        )
        if missing := [name for name in PERMISSIONS if name not in existing]:
            errors.append(
                checks.Error(
                    f"The database {alias!r} lacks the permissions {', '.join(missing)}.",
                    hint="Run `manage.py migrate`: it creates permissions after the migrations.",
                    id="importmonitor.E017",
                )
            )
    return errors


def check_charsets(
    *, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report the columns that cannot hold every text (with `check --database`).

    A warning: `migrate` runs these checks too, and polls go on without the texts.
    """
    from importmonitor.models.charsets import find_encoding, find_limited_columns

    warnings: list[checks.CheckMessage] = []
    for alias in _own_databases(databases):
        for table, group in groupby(find_limited_columns(alias), attrgetter("table")):
            columns = list(group)
            names = ", ".join(f"{table}.{column.name} ({column.charset})" for column in columns)
            # Not CONVERT TO, which changes the collation of the other columns, too.
            changes = ", ".join(f"MODIFY `{column.name}` {column.definition}" for column in columns)
            warnings.append(
                checks.Warning(
                    f"The database {alias!r} has columns in another character set than utf8mb4: "
                    f"{names}. Texts with other characters, such as the names of files, are left "
                    "out.",
                    hint="Back up the database, stop what uses it, and run: ALTER TABLE "
                    f"{table} DEFAULT CHARACTER SET utf8mb4, {changes};",
                    id="importmonitor.W004",
                )
            )
        if encoding := find_encoding(alias):
            warnings.append(
                checks.Warning(
                    f"The database {alias!r} has the encoding {encoding}, not UTF8: texts with "
                    "other characters, such as the names of files, are left out.",
                    hint="Create a database with ENCODING 'UTF8', and move the data by pg_dump.",
                    id="importmonitor.W004",
                )
            )
    return warnings


def check_clock(
    *, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report a clock of the database's host that differs from ours (with `check --database`)."""
    warnings: list[checks.CheckMessage] = []
    for alias in _own_databases(databases):
        difference = clock_difference(alias)
        if difference is None or abs(difference) <= MAX_CLOCK_DIFFERENCE:
            continue
        direction = "ahead of" if difference > timedelta(0) else "behind"
        warnings.append(
            checks.Warning(
                f"The clock of the server of the database {alias!r} is "
                f"{abs(difference).total_seconds():.0f} s {direction} this host's.",
                hint="Have both set their clocks by NTP. Hosts that share a database compare the "
                "times that they write to it.",
                id="importmonitor.W005",
            )
        )
    return warnings


#: What returns the time in UTC, whatever the time zone of the session.
_CLOCKS = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}


def clock_difference(alias: str) -> timedelta | None:
    """Return how far a database server's clock is ahead of ours; None without one of its own.

    Ours is read before and after: a slow answer is no difference.
    """
    from django.db import connections

    connection = connections[alias]
    statement = _CLOCKS.get(connection.vendor)
    if statement is None:
        return None
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute(statement)
        theirs: datetime = cursor.fetchone()[0].replace(tzinfo=UTC)
        after = datetime.now(UTC)
    if theirs > after:
        return theirs - after
    return min(theirs - before, timedelta(0))


def _own_databases(databases: Sequence[str] | None) -> list[str]:
    """Return those of these databases that hold the history."""
    from django.db import router

    from importmonitor.models import Workspace

    return [alias for alias in databases or [] if router.allow_migrate_model(alias, Workspace)]


def _has_table(alias: str, model: type[Model]) -> bool:
    """Return whether a database has a model's table; the router is asked first.

    Without migrations (`MIGRATION_MODULES`), with a schema for each tenant, and in a database for
    other apps, a check that reads the table would keep `migrate` from creating any.
    """
    from django.db import connections, router

    if not router.allow_migrate_model(alias, model):
        return False
    return model._meta.db_table in connections[alias].introspection.table_names()


def _is_migrated(alias: str) -> bool:
    from django.db import connections
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connections[alias])
    return all(
        node in loader.applied_migrations for node in loader.graph.leaf_nodes("importmonitor")
    )
