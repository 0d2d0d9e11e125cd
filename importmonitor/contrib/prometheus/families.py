"""Helpers for metrics."""

from collections.abc import Container, Iterable

from prometheus_client.core import GaugeMetricFamily

OTHER = "other"


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
