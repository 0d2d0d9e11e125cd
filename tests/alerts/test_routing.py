"""Which channel gets which alert: by event, workspace, outcome and severity."""

from typing import Any

import pytest

from importmonitor.choices import Event, severity
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import PolledWorkspace, configure_channels

pytestmark = pytest.mark.django_db


def deliveries(recorder: Recorder) -> list[tuple[str, str]]:
    return [(name, message.body["event"]) for name, message in recorder.delivered]


def test_channels_get_what_they_filter_by(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    crm = {"WORKSPACES": ["def*"], "OUTCOMES": ["done_with_errors"]}
    configure_channels(
        settings,
        {
            "crm": recording("crm", **crm),
            "pager": recording("pager", SEVERITY="critical"),
            "warnings": recording("warnings", SEVERITY="warning"),
            "elsewhere": recording("elsewhere", WORKSPACES=["acme", "eu-*"]),
        },
    )
    polled.start_import("done-with-errors", seconds=60)
    polled.poll_for(300, 30)
    assert deliveries(recorder) == [("crm", "import.finished"), ("warnings", "import.finished")]
    recorder.delivered.clear()
    polled.start_import("failed", seconds=60)
    polled.poll_for(300, 30)
    assert deliveries(recorder) == [("pager", "import.failed"), ("warnings", "import.failed")]
    recorder.delivered.clear()
    polled.fail()
    polled.poll_for(600, 60)
    polled.restore()
    polled.poll(60)
    # Whoever got the outage gets the recovery.
    assert deliveries(recorder) == [
        (name, event)
        for event in ("workspace.unreachable", "workspace.recovered")
        for name in ("pager", "warnings")
    ]


@pytest.mark.parametrize(
    ("event", "outcome", "expected"),
    [
        (Event.FAILED, "failed", "critical"),
        (Event.RECOVERED, None, "critical"),
        (Event.STALLED, None, "warning"),
        (Event.RESUMED, None, "warning"),
        (Event.FINISHED, "done", "info"),
        (Event.FINISHED, "incomplete", "warning"),
        (Event.STARTED, None, "info"),
        ("test", None, "info"),
    ],
)
def test_severity_depends_on_event_and_outcome(
    event: str, outcome: str | None, expected: str
) -> None:
    assert severity(event, outcome) == expected


def test_json_form_names_the_severity(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import("failed", seconds=60)
    polled.poll_for(300, 30)
    assert [(message.body["event"], message.body["severity"]) for message in recorder.messages] == [
        ("import.started", "info"),
        ("import.failed", "critical"),
    ]
