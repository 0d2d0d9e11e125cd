"""The links of delivered messages, and what a person does on the pages that they lead to."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client, TestCase

from importmonitor.alerts.links import page_url
from importmonitor.models import Incident, Workspace
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import sync_workspace
from tests.alerts.helpers import BASE_URL, PolledWorkspace, configure_channels
from tests.alerts.loopback_servers import (
    HttpSink,
    Mail,
    SmtpSink,
    configure_mail,
    listening,
)
from tests.api.helpers import make_user
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

MAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
APPRISE = "importmonitor.alerts.channels.AppriseChannel"
ADMIN = f"{BASE_URL}/admin/importmonitor"
PASSWORD = "correct horse"


def fail_import(polled: PolledWorkspace) -> None:
    polled.start_import("failed", seconds=60)
    polled.poll(30)
    polled.poll_for(120, 60)


def be_unreachable(polled: PolledWorkspace) -> None:
    polled.fail(Unreachable("default: no answer"))
    polled.poll_for(360, 60)


def deliver(
    polled: PolledWorkspace, settings: Any, *causes: Callable[[PolledWorkspace], None]
) -> tuple[list[Mail], list[dict[str, Any]]]:
    """Return the e-mails and the webhook's bodies that a mail server and a webhook get."""
    smtp, webhook = SmtpSink(), HttpSink()
    with listening(smtp) as mail_server, listening(webhook) as server:
        configure_mail(settings, mail_server.port)
        hook = {"BACKEND": APPRISE, "URL": f"json://127.0.0.1:{server.port}/"}
        configure_channels(settings, {"mail": MAIL, "hook": hook}, BASE_URL=BASE_URL)
        for cause in causes:
            cause(polled)
    return smtp.mails, [request.json for request in webhook.accepted]


@pytest.mark.parametrize(
    ("cause", "label", "page"),
    [
        (fail_import, "Open this import", "importoperation"),
        (be_unreachable, "Open this workspace", "workspace"),
    ],
)
def test_alert_links_its_subject_and_the_page_of_its_incident(
    polled: PolledWorkspace,
    settings: Any,
    cause: Callable[[PolledWorkspace], None],
    label: str,
    page: str,
) -> None:
    mails, bodies = deliver(polled, settings, cause)
    mail, body, incident = mails[-1], bodies[-1], Incident.objects.get()
    key = incident.operation_id or Workspace.objects.get().pk
    subject_url = f"{ADMIN}/{page}/{key}/change/"
    incident_url = f"{ADMIN}/incident/{incident.pk}/change/"
    assert body["url"] == subject_url
    assert body["incident"]["url"] == incident_url
    assert mail.text.strip().splitlines()[-2:] == [
        subject_url,
        f"Acknowledge or mute: {incident_url}",
    ]
    assert f'href="{subject_url}"' in mail.html
    assert f">{label}</a>" in mail.html
    assert f'href="{incident_url}"' in mail.html
    assert ">Acknowledge or mute</a>" in mail.html


@pytest.mark.parametrize("cause", [fail_import, be_unreachable])
def test_person_who_follows_the_link_logs_in_and_acknowledges(
    polled: PolledWorkspace,
    settings: Any,
    client: Client,
    cause: Callable[[PolledWorkspace], None],
) -> None:
    """Following it changes nothing: mail programs and scanners do so, too."""
    _mails, bodies = deliver(polled, settings, cause)
    ada = make_user("ada", "view_incident", "change_incident", is_staff=True)
    ada.set_password(PASSWORD)
    ada.save()
    before = Incident.objects.values().get()
    link = urlsplit(bodies[-1]["incident"]["url"]).path
    redirect = client.get(link)
    login = redirect.headers["Location"]
    assert login == f"/admin/login/?next={link}"
    logged_in = client.post(login, {"username": "ada", "password": PASSWORD, "next": link})
    assert logged_in.headers["Location"] == link
    page = client.get(link)
    assert page.status_code == 200
    assert Incident.objects.values().get() == before
    (form,) = [
        form
        for form in page.text.split("<form")
        if "/incident/acknowledge/" in form.partition(">")[0]
    ]
    assert f'name="incident" value="{before["id"]}"' in form
    fields = {"incident": before["id"], "until": "over", "note": "IT knows", "next": link}
    client.post("/admin/importmonitor/incident/acknowledge/", fields)
    incident = Incident.objects.get()
    assert (incident.acknowledged_by, incident.note) == ("ada", "IT knows")


def test_page_of_an_incident_mutes_its_workspace(
    polled: PolledWorkspace, settings: Any, admin_client: Client
) -> None:
    _mails, bodies = deliver(polled, settings, be_unreachable)
    link = urlsplit(bodies[-1]["incident"]["url"]).path
    assert "Plan maintenance" in admin_client.get(link).text
    fields = {"workspace": "default", "hours": "2", "next": link}
    admin_client.post("/admin/importmonitor/incident/mute/", fields)
    page = admin_client.get(link).text
    assert "Alerts about this workspace are muted from" in page


def test_page_of_an_incident_mutes_a_running_import(
    polled: PolledWorkspace, settings: Any, admin_client: Client
) -> None:
    def stall(polled: PolledWorkspace) -> None:
        polled.start_import("stuck", seconds=1200, stuck_for=5400)
        polled.poll_for(5400, 300)

    mute = "Mute alerts about this import until it ends"
    _mails, bodies = deliver(polled, settings, stall)
    link = urlsplit(bodies[-1]["incident"]["url"]).path
    assert mute in admin_client.get(link).text
    fields = {"workspace": "default", "operation": bodies[-1]["operation"]["id"], "next": link}
    admin_client.post("/admin/importmonitor/incident/mute/", fields)
    page = admin_client.get(link).text
    assert mute not in page
    assert "Alerts about this import are muted until it ends." in page


def test_recovery_links_the_workspace_and_asks_for_nothing(
    polled: PolledWorkspace, settings: Any
) -> None:
    def recover(polled: PolledWorkspace) -> None:
        polled.restore()
        polled.poll(60)

    mails, bodies = deliver(polled, settings, be_unreachable, recover)
    assert bodies[-1]["event"] == "workspace.recovered"
    page = f"{ADMIN}/workspace/{Workspace.objects.get().pk}/change/"
    assert bodies[-1]["url"] == page
    assert mails[-1].text.strip().endswith(f"\n{page}")
    assert "Acknowledge" not in mails[-1].text + mails[-1].html


def test_outage_of_several_workspaces_links_each_and_the_open_incidents(
    polled: PolledWorkspace, settings: Any
) -> None:
    other = {"URL": "http://127.0.0.1:9", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
    workspaces = settings.IMPORTMONITOR["WORKSPACES"] | {"other": other}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": workspaces}
    client: Any = FakeClient(None)

    def poll_both(polled: PolledWorkspace) -> None:
        sync_workspace("other", client=client, now=polled.clock.now)
        client.error = Unreachable("other: no answer")
        polled.fail()
        for _ in range(7):
            polled.poll(60)
            with TestCase.captureOnCommitCallbacks(execute=True):
                sync_workspace("other", client=client, now=polled.clock.now)

    mails, bodies = deliver(polled, settings, poll_both)
    (mail,) = mails
    assert "2 workspaces unreachable" in mail.message["Subject"]
    assert "No workspace can be reached: probably it is the monitor's own network." in mail.text
    pages = [
        f"{ADMIN}/workspace/{key}/change/" for key in Workspace.objects.values_list("pk", flat=True)
    ]
    for page in pages:
        assert f'href="{page}"' in mail.html
    assert {body["url"] for body in bodies} == {*pages}
    assert mail.text.strip().splitlines()[-2:] == [
        f"{ADMIN}/workspace/",
        f"Acknowledge or mute: {ADMIN}/incident/",
    ]


def test_message_without_a_base_url_has_no_links(polled: PolledWorkspace, settings: Any) -> None:
    smtp = SmtpSink()
    with listening(smtp) as server:
        configure_mail(settings, server.port)
        configure_channels(settings, {"mail": MAIL}, BASE_URL="")
        be_unreachable(polled)
    (mail,) = smtp.mails
    assert "href" not in mail.html
    assert "Acknowledge" not in mail.text
    assert page_url("incident_change", 1) is None
