"""What all of the metrics have in common."""

from collections.abc import Container, Iterable

from prometheus_client.core import GaugeMetricFamily

OTHER = "other"


def gauge(
    name: str,
    told: str,
    values: Iterable[tuple[list[str], float | None]],
    labels: tuple[str, ...] = ("workspace",),
) -> GaugeMetricFamily:
    """Return a gauge of these values, each with those of its labels, less those that are None."""
    family = GaugeMetricFamily(f"importmonitor_{name}", told, labels=labels)
    for each, value in values:
        if value is not None:
            family.add_metric(each, value)
    return family


def known(word: str, words: Container[str]) -> str:
    """Return a word if it is one of these, or was not told; else `OTHER`.

    What comes from Rocket.Chat must not make series without end.
    """
    return word if not word or word in words else OTHER
