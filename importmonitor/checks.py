"""System checks: every mistake in the settings, with an id and a hint, before anything runs."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks

from importmonitor import conf

PERMISSIONS = ("run-import", "view-import-operations")


def register_all() -> None:
    """Register the app's checks with Django."""
    checks.register(check_settings)
    checks.register(check_channels)
    checks.register(check_permissions, checks.Tags.database)


def check_settings(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report every mistake in the settings."""
    return [
        (checks.Error if problem.is_error else checks.Warning)(
            problem.message, hint=problem.hint, id=f"importmonitor.{problem.id}"
        )
        for problem in conf.problems()
    ]


def check_channels(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Show which channels cannot be made of their options."""
    from importmonitor.alerts.channels import Misconfigured, backend

    errors: list[checks.CheckMessage] = []
    for channel in conf.options().channels.values():
        try:
            backend(channel)
        except Misconfigured as error:
            errors.append(
                checks.Error(
                    f"The channel {channel.name!r} cannot be used: {error}",
                    hint="Mend IMPORTMONITOR['CHANNELS'], and see with "
                    "`manage.py send_test_alert` whether messages arrive.",
                    id="importmonitor.E020",
                )
            )
    return errors


def check_permissions(
    *, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Show which of the app's permissions a migrated database lacks (with `check --database`).

    Silent where migrations have yet to run: `migrate` itself begins with these checks, and what
    would keep it from running must not be what it mends.
    """
    from django.contrib.auth.models import Permission

    missing: list[checks.CheckMessage] = []
    for alias in databases or []:
        if not _is_migrated(alias):
            continue
        found = set(
            Permission.objects.using(alias)
            .filter(content_type__app_label="importmonitor", codename__in=PERMISSIONS)
            .values_list("codename", flat=True)
        )
        if lacking := [name for name in PERMISSIONS if name not in found]:
            missing.append(
                checks.Error(
                    f"The database {alias!r} lacks the permissions {', '.join(lacking)}.",
                    hint="Run `manage.py migrate`: it makes permissions when migrations have run.",
                    id="importmonitor.E017",
                )
            )
    return missing


def _is_migrated(alias: str) -> bool:
    from django.db import connections
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connections[alias])
    return all(
        node in loader.applied_migrations for node in loader.graph.leaf_nodes("importmonitor")
    )
