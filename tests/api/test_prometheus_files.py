"""The dashboard and the rules in docs/prometheus: what they ask for is there."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from importmonitor.models import ImportOperation
from tests.api.helpers import (
    NOON,
    sync,
)
from tests.api.metrics import MINUTE, WHOLE, add_alert, scrape

pytestmark = [pytest.mark.django_db, pytest.mark.urls("importmonitor.contrib.prometheus.urls")]

DOCS = Path(__file__).parents[2] / "docs" / "prometheus"
PROMTOOL = os.environ.get("PROMTOOL", "")
needs_promtool = pytest.mark.skipif(
    not PROMTOOL, reason="runs where PROMTOOL names Prometheus's promtool"
)


@pytest.fixture
def exposition() -> str:
    """Metrics in which each that there is has a value."""
    for minute, completed in enumerate((0, 40, 70, 100)):
        count = WHOLE["count"] | {"completed": completed}
        sync(WHOLE | {"count": count}, at=NOON + minute * MINUTE)
    ImportOperation.objects.update(finished_at=NOON)
    add_alert(next_attempt_at=NOON)
    return scrape(NOON + 4 * MINUTE).decode()


def expressions(dashboard: Any) -> Iterator[str]:
    """Yield every query in a dashboard, with what Grafana would put in its variables' place."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield re.sub(r"\$\w+", lambda found: VARIABLES[found[0]], target["expr"])


VARIABLES = {"$job": ".*", "$workspace": "acme|globex", "$__rate_interval": "5m"}
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
VARIABLE_QUERIES = [each.get("definition", "") for each in DASHBOARD["templating"]["list"]]
RULES = (DOCS / "importmonitor.rules.yml").read_text()
TESTS_OF_RULES = (DOCS / "importmonitor.rules.test.yml").read_text()


@pytest.mark.parametrize(
    "text",
    ["\n".join([*expressions(DASHBOARD), *VARIABLE_QUERIES]), RULES, TESTS_OF_RULES],
    ids=["dashboard", "rules", "tests of rules"],
)
def test_what_is_asked_for_is_there(text: str, exposition: str) -> None:
    there: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            there.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    asked = re.findall(r"(importmonitor_\w+)(?:\{(.*?)\})?", text)
    assert len(asked) > 10
    for name, labels in asked:
        assert name in there
        assert set(re.findall(r"(\w+)=~?['\"]", labels)) <= there[name], name


def test_everything_that_is_there_has_a_value(exposition: str) -> None:
    for family in text_string_to_metric_families(exposition):
        assert family.samples, family.name
        assert family.documentation


def test_the_dashboard_holds_together() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    # No database of anybody's: which one, the reader chooses.
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)


def promtool(*arguments: str | Path, stdin: str = "") -> None:
    done = subprocess.run(
        [PROMTOOL, *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr


@needs_promtool
def test_promtool_is_content_with_the_metrics(exposition: str) -> None:
    promtool("check", "metrics", stdin=exposition)
    promtool("check", "metrics", stdin=scrape(NOON + timedelta(days=1)).decode())


@needs_promtool
def test_promtool_is_content_with_the_rules() -> None:
    promtool("check", "rules", DOCS / "importmonitor.rules.yml")
    promtool("test", "rules", DOCS / "importmonitor.rules.test.yml")


@needs_promtool
def test_promtool_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions(DASHBOARD))
    ]
    # JSON is YAML too.
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)
