"""Helpers for metrics."""

from collections.abc import Container, Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

from importmonitor.choices import EMPTY, OK
from importmonitor.rocketchat import exceptions
from importmonitor.rocketchat.states import ImportState

OTHER = "other"

#: The possible results of a poll.
POLL_OUTCOMES = (
    OK,
    EMPTY,
    exceptions.BadAnswer.__name__,
    exceptions.InternalError.__name__,
    exceptions.NotRocketChat.__name__,
    exceptions.PermissionMissing.__name__,
    exceptions.RateLimited.__name__,
    exceptions.TwoFactorRequired.__name__,
    exceptions.Unauthenticated.__name__,
    exceptions.Unreachable.__name__,
    OTHER,
)


def gauge(
    name: str,
    documentation: str,
    values: Iterable[tuple[list[str], float | None]],
    label_names: tuple[str, ...] = ("workspace",),
) -> GaugeMetricFamily:
    """Return a gauge of these values by the values of their labels, without those that are None."""
    family = GaugeMetricFamily(f"importmonitor_{name}", documentation, labels=label_names)
    for labels, value in values:
        if value is not None:
            family.add_metric(labels, value)
    return family


def known_or_other(text: str, known: Container[str]) -> str:
    """Return a text if it is known or empty, else `OTHER`.

    Otherwise texts from Rocket.Chat could create any number of series.
    """
    return text if not text or text in known else OTHER


def known_state(text: str) -> ImportState:
    """Return the state that a row has, UNKNOWN if this version does not know it."""
    try:
        return ImportState(text)
    except ValueError:
        return ImportState.UNKNOWN


def age(moment: datetime | None, now: datetime) -> float | None:
    """Return the seconds since a time, not below 0; None for None."""
    return None if moment is None else max(0.0, (now - moment).total_seconds())
