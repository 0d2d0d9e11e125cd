"""Helpers that scrape and parse the metrics."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from importmonitor.contrib.prometheus.collector import StoreCollector
from importmonitor.models import Alert
from tests.api.helpers import EVERYTHING, NOON, RUNNING

MINUTE = timedelta(minutes=1)
#: A document with every counter.
COMPLETE: dict[str, Any] = {
    **RUNNING,
    "count": {
        "total": 400,
        "completed": 100,
        "error": 4,
        "users": 50,
        "channels": 20,
        "messages": 330,
        "contacts": 0,
    },
}


def scrape(now: Any = NOON) -> bytes:
    registry = CollectorRegistry()
    registry.register(StoreCollector(now, EVERYTHING))
    return generate_latest(registry)


def samples(now: Any = NOON) -> Iterator[Sample]:
    for family in text_string_to_metric_families(scrape(now).decode()):
        yield from family.samples


def metric_values(name: str, now: Any = NOON) -> dict[tuple[str, ...], float]:
    """Return a metric's values by the values of its labels, in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for sample in samples(now)
        if sample.name == f"importmonitor_{name}"
    }


def metric_value(name: str, now: Any = NOON) -> float | None:
    """Return a metric's value for `default`, None if it is absent."""
    return metric_values(name, now).get(("default",))


def add_alert(channel: str = "ops", **fields: Any) -> None:
    """Create an alert that is due."""
    values = {"event": "import.failed", "workspace": "default", "body": {}, "created_at": NOON}
    key = str(Alert.objects.count())
    Alert.objects.create(**(values | {"channel": channel, "key": key} | fields))
