"""System checks: every mistake in the settings, with an id and a hint."""

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
        for problem in conf.find_problems()
    ]


def check_channels(
    *, app_configs: Sequence[AppConfig] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report every channel whose backend cannot be made of its options."""
    from importmonitor.alerts.channels import Misconfigured, load_backend

    errors: list[checks.CheckMessage] = []
    for channel in conf.get_options().channels.values():
        try:
            load_backend(channel)
        except Misconfigured as error:
            errors.append(
                checks.Error(
                    f"The channel {channel.name!r} cannot be used: {error}",
                    hint="Correct IMPORTMONITOR['CHANNELS'], then test the channel with "
                    "`manage.py send_test_alert`.",
                    id="importmonitor.E020",
                )
            )
    return errors


def check_permissions(
    *, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """Report which of the app's permissions a migrated database lacks (with `check --database`).

    No error while there are unapplied migrations: `migrate` itself runs these checks first, and
    an error would keep it from creating the permissions.
    """
    from django.contrib.auth.models import Permission

    errors: list[checks.CheckMessage] = []
    for alias in databases or []:
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


def _is_migrated(alias: str) -> bool:
    from django.db import connections
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connections[alias])
    return all(
        node in loader.applied_migrations for node in loader.graph.leaf_nodes("importmonitor")
    )
