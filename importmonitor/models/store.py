"""The database that holds the app's tables, as a host's router decides."""

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.db import models, router
from django.db.models import Exists, OuterRef, Subquery

if TYPE_CHECKING:
    from importmonitor.models.viewers import Viewer

M = TypeVar("M", bound=models.Model)


class RowCount(Subquery):
    """The number of rows of a query, which can have a limit, unlike those of an aggregate."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) importmonitor_rows)"
    output_field = models.IntegerField()


class StoreQuerySet(models.QuerySet[M]):
    """Rows of the database that is written to, for reading too, unless `using` names another.

    A replica lags behind: a poll would compare Rocket.Chat's response with rows that another poll
    has replaced, and a page would show less than what was stored just now.
    """

    #: The field that has the alias of a row's workspace.
    workspace_field: ClassVar[str] = "workspace"

    def visible_to(self, viewer: "Viewer") -> Self:
        """Return the rows of the workspaces that a viewer may see, as of their last polls.

        By a condition, so that it costs the same however many workspaces there are. Where few are
        hidden, or few visible, it names them.
        """
        rows, alias = self, self.workspace_field
        if viewer.aliases is not None:
            rows = rows.filter(**{f"{alias}__in": viewer.aliases})
        if viewer.hidden_aliases == []:
            return rows
        if viewer.hidden_aliases is not None:
            return rows.exclude(**{f"{alias}__in": viewer.hidden_aliases})
        if viewer.visible_aliases is not None:
            return rows.filter(**{f"{alias}__in": viewer.visible_aliases})
        return rows.without_hidden(viewer)

    def without_hidden(self, viewer: "Viewer") -> Self:
        """Return the rows whose workspace's groups include a viewer, however many do not."""
        hidden = viewer.hidden_workspaces().filter(alias=OuterRef(self.workspace_field))
        return self.filter(~Exists(hidden))

    @property
    def db(self) -> str:
        # As Django's own property, but for `db_for_read`.
        queryset: Any = self
        alias = queryset._db or router.db_for_write(self.model, **queryset._hints)  # noqa: SLF001 - a subclass
        return str(alias)
