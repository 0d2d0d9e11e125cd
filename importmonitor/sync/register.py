"""Rows for the workspaces of the settings, so that lists and totals need not read the settings."""

from collections.abc import Collection, Iterator, Sequence

from django.db import transaction

from importmonitor import conf
from importmonitor.conf.workspaces import ALIAS
from importmonitor.logs import get_logger
from importmonitor.models import GroupSet, Workspace
from importmonitor.models.group_sets import encode_groups
from importmonitor.sync.poll import database_errors
from importmonitor.tenancy import store_alias

logger = get_logger(__name__)

# Rows in one statement: databases limit the number of parameters.
_BATCH = 500


def register_workspaces(workspaces: conf.Workspaces, only: Collection[str] = ()) -> None:
    """Create the rows that are missing, and mark which workspaces are configured.

    Of all, or `only` of some. The rows are in the order of the settings. One query if nothing has
    changed.
    """
    stored = Workspace.objects.filter(alias__in=only) if only else Workspace.objects.all()
    rows = dict(stored.order_by().values_list("alias", "is_configured"))
    new = [
        alias
        for alias in only or workspaces
        if alias not in rows and alias in workspaces and ALIAS.fullmatch(alias)
    ]
    gone = [alias for alias, configured in rows.items() if configured and alias not in workspaces]
    back = [alias for alias, configured in rows.items() if not configured and alias in workspaces]
    for aliases in _batches(new):
        groups = {alias: workspaces.get_groups(alias) for alias in aliases}
        GroupSet.objects.store(groups.values())
        # Another process may be creating the same.
        Workspace.objects.bulk_create(
            [Workspace(alias=alias, groups=encode_groups(groups[alias])) for alias in aliases],
            ignore_conflicts=True,
        )
    for aliases in _batches(gone):
        Workspace.objects.filter(alias__in=aliases).update(is_configured=False, due_at=None)
    for aliases in _batches(back):
        Workspace.objects.filter(alias__in=aliases).update(is_configured=True)


def register_configured() -> None:
    """Register the workspaces of the settings; nothing is raised if the database cannot be used.

    Raises ImproperlyConfigured. In a transaction of the host's, it can be rolled back alone.
    """
    try:
        with transaction.atomic(using=store_alias()):
            register_workspaces(conf.get_workspaces())
    except database_errors() as error:
        # The polls say it too.
        logger.warning("Workspaces could not be registered: %s", type(error).__name__)


def _batches(aliases: Sequence[str]) -> Iterator[Sequence[str]]:
    return (aliases[start : start + _BATCH] for start in range(0, len(aliases), _BATCH))
