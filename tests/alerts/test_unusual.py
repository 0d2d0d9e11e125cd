"""The alert about an import that is unlike the earlier ones of its kind."""

from datetime import timedelta

import pytest

from importmonitor.models import Incident
from simulator.workspace import Workspace
from tests.alerts.backends import Recorder
from tests.alerts.helpers import PolledWorkspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def usual(polled: PolledWorkspace, recorder: Recorder) -> PolledWorkspace:
    """A workspace with five imports of ten minutes and 2,000 records."""
    for _ in range(5):
        polled.start_import(records=2000)
        polled.poll_for(900, 150)
    recorder.delivered.clear()
    return polled


def test_import_that_takes_unusually_long_is_alerted_once(
    usual: PolledWorkspace, recorder: Recorder
) -> None:
    usual.start_import(records=2000, seconds=3600)
    usual.poll_for(1140, 60)
    assert recorder.events == ["import.started"]
    usual.poll_for(1800, 60)
    assert recorder.events == ["import.started", "import.unusual"]
    (message,) = recorder.messages[1:]
    assert message.body["usual"]["reason"] == "long"
    assert message.body["usual"]["imports"] == 5
    assert "so far; the last 5 imports of this kind took 10 min." in message.text
    incident = Incident.objects.open().get()
    assert incident.kind == "import.unusual"
    usual.poll_for(1200, 60)
    assert recorder.events[2:] == ["import.finished"]
    assert not Incident.objects.open().exists()


def test_import_with_unusually_few_records_is_alerted(
    usual: PolledWorkspace, recorder: Recorder
) -> None:
    usual.start_import(records=100)
    usual.poll_for(900, 150)
    assert recorder.events == ["import.started", "import.finished", "import.unusual"]
    assert "It brought 100 records; the last 5 imports" in recorder.messages[-1].text
    assert Incident.objects.open().get().kind == "import.unusual"
    # The next one is as usual.
    usual.start_import(records=2000)
    usual.poll_for(900, 150)
    assert not Incident.objects.open().exists()


def test_time_of_waiting_for_a_selection_does_not_count(
    usual: PolledWorkspace, recorder: Recorder, workspace: Workspace
) -> None:
    operation_id = usual.start_import("waiting", records=2000)
    usual.poll_for(3000, 60)
    workspace.select(operation_id)
    usual.poll_for(900, 150)
    assert recorder.events == ["import.started", "import.finished"]


def test_four_earlier_imports_are_too_few(polled: PolledWorkspace, recorder: Recorder) -> None:
    for _ in range(4):
        polled.start_import(records=2000)
        polled.poll_for(900, 150)
    recorder.delivered.clear()
    polled.start_import(records=100, seconds=7200)
    polled.poll_for(7800, 300)
    assert recorder.events[-1] == "import.finished"
    assert "import.unusual" not in recorder.events


def test_acknowledging_closes_it(usual: PolledWorkspace) -> None:
    usual.start_import(records=100)
    usual.poll_for(900, 150)
    now = usual.clock.now() + timedelta(minutes=1)
    assert Incident.objects.acknowledge(by="ada", at=now) == 1
    assert Incident.objects.get().until == now
