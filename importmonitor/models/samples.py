"""The progress of an operation's counters."""

from datetime import datetime

from django.db import models
from django.db.models import Count, F, Q, Subquery, Value
from django.db.models.functions import Mod
from django.utils.translation import gettext_lazy as _

from importmonitor.models.compiled import CompiledQuery, Param
from importmonitor.models.fields import insert_with_keys
from importmonitor.models.operations import ImportOperation
from importmonitor.models.store import StoreQuerySet
from importmonitor.models.transitions import StatusTransition

#: Rows that one statement deletes by their keys: SQLite limits the number of variables.
_BATCH = 500


class ProgressSampleQuerySet(StoreQuerySet["ProgressSample"]):
    workspace_field = "operation__workspace"

    def add_all(self, operations: list["ImportOperation"], at: datetime) -> None:
        """Save the counters of these operations as they are now, in one query."""
        rows = [
            ProgressSample(
                operation_id=operation.pk,
                observed_at=at,
                completed=operation.count_completed,
                error=operation.count_error,
                total=operation.count_total,
            )
            for operation in operations
        ]
        insert_with_keys(self, rows)

    def of_step(
        self, operation: "ImportOperation"
    ) -> list[tuple[datetime, int | None, int | None, int | None]]:
        """Return the samples of the operation's present step, oldest first.

        Each is (observed_at, completed, error, total). Limited to the newest OF_STEP.
        """
        rows = _of_step.rows(self.db, operation=operation.pk)
        return [(at, completed, error, total) for at, completed, error, total in reversed(rows)]

    def spread(self, operation: "ImportOperation", limit: int) -> list["ProgressSample"]:
        """Return an operation's samples, oldest first; about `limit`, evenly spread, of more.

        In one query.
        """
        rows = self.filter(operation=operation).order_by("observed_at", "pk")
        count = rows.order_by().values("operation").annotate(count=Count("pk")).values("count")
        # All of no more than the limit: a remainder is less than the count.
        placed = rows.annotate(place=Mod(F("pk") * Value(limit), Subquery(count)))
        is_last = Q(pk=Subquery(rows.reverse().values("pk")[:1]))
        return list(placed.filter(Q(place__lt=limit) | is_last))

    def thin(self, operations: list["ImportOperation"]) -> None:
        """Keep at most ProgressSample.MAX samples of each operation, evenly spread."""
        if not operations:
            return
        counts = self.filter(operation__in=operations).order_by().values("operation")
        too_many = counts.annotate(count=Count("pk")).filter(count__gt=ProgressSample.MAX)
        for operation, count in too_many.values_list("operation", "count"):
            samples = self.filter(operation=operation).order_by("pk")
            keys = list(samples.values_list("pk", flat=True))
            step = (count - 1) / (ProgressSample.MAX - 1)
            kept = {keys[round(index * step)] for index in range(ProgressSample.MAX)}
            dropped = [key for key in keys if key not in kept]
            for start in range(0, len(dropped), _BATCH):
                self.filter(pk__in=dropped[start : start + _BATCH]).delete()


class ProgressSample(models.Model):
    """An operation's counters at a time; one row for each time that they changed."""

    #: How many samples a finished operation keeps.
    MAX = 500
    #: How many samples of a step its rate is computed from.
    OF_STEP = 100

    operation = models.ForeignKey(
        ImportOperation,
        on_delete=models.CASCADE,
        related_name="samples",
        verbose_name=_("import operation"),
    )
    observed_at = models.DateTimeField(_("observed"))
    completed = models.BigIntegerField(_("completed"), null=True)
    error = models.BigIntegerField(_("errors"), null=True)
    total = models.BigIntegerField(_("total"), null=True)

    objects = ProgressSampleQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("progress sample")
        verbose_name_plural = _("progress samples")
        ordering = ("observed_at", "pk")
        default_permissions = ("view",)
        indexes = (
            models.Index(
                fields=("operation", "observed_at", "id"), name="importmonitor_ps_operation"
            ),
            models.Index(fields=("observed_at",), name="importmonitor_ps_observed"),
        )

    def __str__(self) -> str:
        return f"{self.completed} / {self.total}"


def _samples_of_step(operation: Param) -> ProgressSampleQuerySet:
    steps = StatusTransition.objects.filter(operation=operation).exclude(from_status=F("to_status"))
    started_at = steps.order_by("-pk").values("observed_at")[:1]
    return ProgressSample.objects.filter(operation=operation, observed_at__gte=started_at)


_of_step = CompiledQuery(
    lambda: (
        _samples_of_step(Param("operation", models.BigIntegerField()))
        .order_by("-pk")
        .values_list("observed_at", "completed", "error", "total")[: ProgressSample.OF_STEP]
    )
)
