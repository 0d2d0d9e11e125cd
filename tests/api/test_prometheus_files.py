"""The dashboard and the rules in docs/prometheus use existing metrics."""

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
from tests.api.helpers import NOON, sync
from tests.api.metrics import COMPLETE, MINUTE, add_alert, scrape

pytestmark = [pytest.mark.django_db, pytest.mark.urls("importmonitor.contrib.prometheus.urls")]

DOCS = Path(__file__).parents[2] / "docs" / "prometheus"
PROMTOOL = os.environ.get("PROMTOOL", "")
needs_promtool = pytest.mark.skipif(
    not PROMTOOL, reason="runs where PROMTOOL names Prometheus's promtool"
)


@pytest.fixture
def exposition() -> str:
    """A scrape in which every metric has a sample."""
    for minute, completed in enumerate((0, 40, 70, 100)):
        count = COMPLETE["count"] | {"completed": completed}
        sync(COMPLETE | {"count": count}, at=NOON + minute * MINUTE)
    ImportOperation.objects.update(finished_at=NOON)
    add_alert(next_attempt_at=NOON)
    return scrape(NOON + 4 * MINUTE).decode()


def expressions(dashboard: Any) -> Iterator[str]:
    """Yield every query of a dashboard, with values for its variables."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield re.sub(r"\$\w+", lambda match: VARIABLES[match[0]], target["expr"])


VARIABLES = {"$job": ".*", "$workspace": "acme|globex", "$__rate_interval": "5m"}
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
VARIABLE_QUERIES = [variable.get("definition", "") for variable in DASHBOARD["templating"]["list"]]
RULES = (DOCS / "importmonitor.rules.yml").read_text()
TESTS_OF_RULES = (DOCS / "importmonitor.rules.test.yml").read_text()


@pytest.mark.parametrize(
    "text",
    ["\n".join([*expressions(DASHBOARD), *VARIABLE_QUERIES]), RULES, TESTS_OF_RULES],
    ids=["dashboard", "rules", "tests of rules"],
)
def test_queries_use_existing_metrics_and_labels(text: str, exposition: str) -> None:
    labels_by_metric: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            labels_by_metric.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    references = re.findall(r"(importmonitor_\w+)(?:\{(.*?)\})?", text)
    assert len(references) > 10
    for name, labels in references:
        assert name in labels_by_metric
        assert set(re.findall(r"(\w+)=~?['\"]", labels)) <= labels_by_metric[name], name


def test_every_metric_has_a_sample(exposition: str) -> None:
    for family in text_string_to_metric_families(exposition):
        assert family.samples, family.name
        assert family.documentation


def test_dashboard_panels_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for position in (panel["gridPos"] for panel in panels)
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    # The data source is a variable of the dashboard.
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)


def promtool(*arguments: str | Path, stdin: str = "") -> None:
    process = subprocess.run(
        [PROMTOOL, *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert not process.stderr, process.stderr


@needs_promtool
def test_promtool_accepts_the_metrics(exposition: str) -> None:
    promtool("check", "metrics", stdin=exposition)
    promtool("check", "metrics", stdin=scrape(NOON + timedelta(days=1)).decode())


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", DOCS / "importmonitor.rules.yml")
    promtool("test", "rules", DOCS / "importmonitor.rules.test.yml")


@needs_promtool
def test_promtool_accepts_the_dashboards_queries(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions(DASHBOARD))
    ]
    # JSON is YAML too.
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)
