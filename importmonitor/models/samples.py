"""How an operation's counters moved."""

from datetime import datetime
from typing import NamedTuple

from django.db import models
from django.db.models import Count, F, Value
from django.db.models.functions import Mod
from django.utils.translation import gettext_lazy as _

from importmonitor.models import bulk
from importmonitor.models.operations import ImportOperation
from importmonitor.models.prepared import Param, Prepared
from importmonitor.models.transitions import StatusTransition

#: Rows that one statement deletes by their keys: SQLite takes no more variables than some.
_AT_ONCE = 500


class _Row(NamedTuple):
    """What a sample has in the database; a model's instance takes several times as long to make."""

    operation_id: int
    observed_at: datetime
    completed: int | None
    error: int | None
    total: int | None


class ProgressSampleQuerySet(models.QuerySet["ProgressSample"]):
    def add_all(self, operations: list["ImportOperation"], at: datetime) -> None:
        """Save the counters of these operations as they are now, in one query."""
        rows = [
            _Row(each.pk, at, each.count_completed, each.count_error, each.count_total)
            for each in operations
        ]
        bulk.insert(ProgressSample, rows, self.db)

    def of_step(
        self, operation: "ImportOperation"
    ) -> list[tuple[datetime, int | None, int | None, int | None]]:
        """Return when and how the counters moved in the operation's present step, oldest first.

        Each is a time with `completed`, `error` and `total`; of very many, the newest ones.
        """
        rows = _of_step.rows(self.db, operation=operation.pk)
        return [(at, completed, error, total) for at, completed, error, total in reversed(rows)]

    def spread(self, operation: "ImportOperation", most: int) -> list["ProgressSample"]:
        """Return an operation's samples, oldest first; of many, about so many from all along."""
        rows = self.filter(operation=operation).order_by("observed_at", "pk")
        count = rows.count()
        if count <= most:
            return list(rows)
        some = rows.annotate(place=Mod("pk", Value(-(-count // most)))).filter(place=0)
        return [*some, *rows.reverse()[:1]]

    def thin(self, operations: list["ImportOperation"]) -> None:
        """Keep at most ProgressSample.MOST samples of each operation, evenly, and its last."""
        if not operations:
            return
        counted = self.filter(operation__in=operations).order_by().values("operation")
        too_many = counted.annotate(count=Count("pk")).filter(count__gt=ProgressSample.MOST)
        for operation, count in too_many.values_list("operation", "count"):
            samples = self.filter(operation=operation).order_by("pk")
            keys = list(samples.values_list("pk", flat=True))
            step = (count - 1) / (ProgressSample.MOST - 1)
            kept = {keys[round(index * step)] for index in range(ProgressSample.MOST)}
            dropped = [key for key in keys if key not in kept]
            for start in range(0, len(dropped), _AT_ONCE):
                self.filter(pk__in=dropped[start : start + _AT_ONCE]).delete()


class ProgressSample(models.Model):
    """An operation's counters at a time; one for each time that they were seen to have moved."""

    #: As many as a finished operation keeps.
    MOST = 500
    #: As many of a step's as its rate is taken from.
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


def _of_step_of(operation: Param) -> ProgressSampleQuerySet:
    steps = StatusTransition.objects.filter(operation=operation).exclude(from_status=F("to_status"))
    began = steps.order_by("-pk").values("observed_at")[:1]
    return ProgressSample.objects.filter(operation=operation, observed_at__gte=began)


_of_step = Prepared(
    lambda: (
        _of_step_of(Param("operation", models.BigIntegerField()))
        .order_by("-pk")
        .values_list("observed_at", "completed", "error", "total")[: ProgressSample.OF_STEP]
    )
)
