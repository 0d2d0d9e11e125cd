"""The alert about an import that is unlike the earlier ones of its kind."""

from datetime import timedelta

import pytest
from django.test import Client

from importmonitor.models import ImportOperation, Incident
from simulator.workspace import Workspace
from tests.admin.helpers import change_url, page
from tests.alerts.backends import Recorder
from tests.alerts.helpers import PolledWorkspace
from tests.api.helpers import make_user
from tests.conftest import USER_ID

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


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


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize(("records", "last"), [(2000, "import.finished"), (100, "import.unusual")])
def test_waiting_at_several_steps_does_not_count(
    usual: PolledWorkspace, recorder: Recorder, root: Client, records: int, last: str
) -> None:
    """No poll sees the short step between the two at which it waits."""
    document = {
        "_id": "waited",
        "type": "CSV",
        "importerKey": "csv",
        "ts": f"{usual.clock.now():%Y-%m-%dT%H:%M:%S}.000Z",
        "user": USER_ID,
        "valid": True,
    }
    assert usual.client is not None
    for status, seconds in (
        ("importer_file_loaded", 3000),
        ("importer_user_selection", 3000),
        ("importer_importing_users", 600),
        ("importer_done", 300),
    ):
        counts = {"total": records, "completed": 0 if "user" in status else records}
        usual.client.source = document | {"status": status, "count": counts}
        usual.poll_for(seconds, 60)
    assert recorder.events[-1] == last
    assert recorder.events.count("import.unusual") == (last == "import.unusual")
    operation = ImportOperation.objects.get(remote_id="waited")
    words = page(root.get(change_url(operation))).words
    assert "Takes unusually long" not in words
    assert ("Unusually few records" in words) == (last == "import.unusual")


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
