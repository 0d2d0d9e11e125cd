"""How an operation ended, and how long it will take."""

from datetime import timedelta
from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _


class EndReason(models.TextChoices):
    """Why an operation is over. The values are ours, unlike those of most columns."""

    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    INTERRUPTED = "interrupted", _("Interrupted")
    SUPERSEDED = "superseded", _("Superseded")
    CANCELED = "canceled", _("Canceled")


#: The ends that are ours: Rocket.Chat calls such an operation running, or later done.
PREMATURE_ENDS = (EndReason.INTERRUPTED, EndReason.SUPERSEDED)


class Outcome(models.TextChoices):
    """How an operation ended; Rocket.Chat has one word, "done", for the first three."""

    DONE = "done", _("Done")
    DONE_WITH_ERRORS = "done_with_errors", _("Done with errors")
    INCOMPLETE = "incomplete", _("Incomplete")
    FAILED = "failed", _("Failed")
    INTERRUPTED = "interrupted", _("Interrupted")
    SUPERSEDED = "superseded", _("Superseded")
    CANCELED = "canceled", _("Canceled")


class TimeLeft(NamedTuple):
    """How long an operation will take, and the span that holds the truth four times of five."""

    expected: timedelta
    low: timedelta
    high: timedelta

    def seconds(self) -> tuple[int, int, int]:
        """Return the three in whole seconds."""
        expected, low, high = (round(duration.total_seconds()) for duration in self)
        return expected, low, high
