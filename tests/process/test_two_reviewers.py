"""Two hosts that review incidents at the same moment send each alert once; so do killed ones."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.process.processes import Project, wait_for
from tests.process.test_two_hosts import count, order

#: Incidents of each sort, and how often two hosts review as many.
NUMBER = 20
ROUNDS = 4 if os.environ.get("LONG") else 1
#: Minutes after which what a killed process had claimed is delivered by another.
CLAIM_IS_OVER = 15


def test_two_hosts_send_each_reminder_once(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    reviewers = project.start("-m", "tests.process.reviewers", str(path), LOG_LEVEL="ERROR")
    for _round in range(ROUNDS):
        path.write_bytes(b"")
        assert order(reviewers, f"fill {NUMBER}") == "done 0"
        assert order(reviewers, "both 0") == "done 0"
        # What SQLite's lock has kept one of them from.
        assert order(reviewers, f"both {CLAIM_IS_OVER}") == "done 0"
        assert_each_alerted_once(project, path, NUMBER)
    result = wait_for(reviewers)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.long
def test_what_a_killed_host_was_to_send_is_sent_once(project: Project, tmp_path: Path) -> None:
    """A process is killed before each of its queries; two others do the rest when they may."""
    path = tmp_path / "alerts"
    reviewers = project.start("-m", "tests.process.reviewers", str(path), LOG_LEVEL="ERROR")
    # What killed processes had claimed and not sent, and what they had sent and not recorded.
    claimed = unrecorded = 0
    for query in range(1, 200):
        path.write_bytes(b"")
        assert order(reviewers, "fill 1") == "done 0"
        end = order(reviewers, f"before {query}")
        sent = Counter(path.read_text().split())
        recorded = delivered_keys(project)
        assert recorded <= sent
        unrecorded += len(sent - recorded)
        claimed += count(project, "claimed_until IS NOT NULL") > len(sent - recorded)
        assert order(reviewers, "both 0") == "done 0"
        assert order(reviewers, f"both {CLAIM_IS_OVER}") == "done 0"
        assert_each_alerted_once(project, path, 1, twice=sent - recorded)
        if end != "killed":
            break
    assert end == "done 0"
    assert query > 30
    assert claimed > 0
    assert unrecorded > 0
    assert wait_for(reviewers).returncode == 0


def assert_each_alerted_once(
    project: Project, path: Path, number: int, twice: Counter[str] | None = None
) -> None:
    """Assert that the channel has got one alert about each incident, some twice."""
    stored = delivered_keys(project)
    assert stored.total() == 3 * number
    assert Counter(key.partition(":")[0] for key in stored) == {
        "workspace.unreachable": 2 * number,
        "workspace.unpolled": number,
    }
    assert sum(key.endswith(":reminder:1") for key in stored) == number
    assert Counter(path.read_text().split()) == stored + (twice or Counter())


def delivered_keys(project: Project) -> Counter[str]:
    """Return the keys of the alerts that were delivered, as the database has them."""
    rows = project.database.execute(
        "SELECT alert.key FROM importmonitor_alert AS alert WHERE delivered_at IS NOT NULL"
    )
    return Counter(key for (key,) in rows)
