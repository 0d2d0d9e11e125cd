"""One e-mail to a user who has asked for it, when an import ends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import translation

from importmonitor.alerts import outbox, subscriptions
from importmonitor.alerts.drafts import draft_operation_alert
from importmonitor.choices import Event
from importmonitor.conf.channels import NAME
from importmonitor.models import Alert, Delivery, ImportOperation, Incident, Workspace
from importmonitor.models.alerts import USER_CHANNEL
from importmonitor.sync.prune import prune_operations
from tests.admin.helpers import make_row
from tests.alerts.backends import Recorder
from tests.alerts.helpers import PolledWorkspace, configure_channels, sync_documents
from tests.alerts.loopback_servers import SmtpSink, configure_mail, listening
from tests.api import helpers
from tests.api.helpers import NOON, make_user
from tests.group_sets import store_groups

pytestmark = pytest.mark.django_db

MINUTE, HOUR = 60, 3600


def make_viewer(name: str = "ada", **fields: Any) -> User:
    return make_user(name, "view_importoperation", **{"email": f"{name}@example.org"} | fields)


@pytest.fixture
def ada() -> User:
    return make_viewer()


def subscribe(user: User) -> ImportOperation:
    """Subscribe a user to the end of the newest import."""
    operation = ImportOperation.objects.latest("pk")
    assert subscriptions.subscribe(user, operation, operation.last_seen_at)
    return operation


def interrupt_import(polled: PolledWorkspace, user: User) -> None:
    """Subscribe a user to a running import, restart Rocket.Chat, and poll that."""
    polled.start_import(seconds=HOUR)
    polled.poll_for(30 * MINUTE, every=300)
    subscribe(user)
    polled.rocketchat.restart()
    polled.poll(after=30)


def subjects() -> list[str]:
    return [message.subject.removeprefix("[importmonitor] ") for message in mail.outbox]


@pytest.mark.parametrize(
    ("ending", "subject"),
    [
        ("done", "Import finished: Done"),
        ("failed", "Import failed"),
        ("done-with-errors", "Import finished: Done with errors"),
    ],
)
def test_user_gets_one_email_with_the_outcome(
    polled: PolledWorkspace, ada: User, settings: Any, ending: str, subject: str
) -> None:
    configure_channels(settings, {})
    polled.start_import(ending)
    polled.poll()
    subscribe(ada)
    polled.poll_for(8 * MINUTE, every=60)
    assert mail.outbox == []
    polled.poll_for(HOUR, every=300)
    assert subjects() == [f"default: {subject} (CSV, people.csv)"]
    assert mail.outbox[0].to == ["ada@example.org"]
    assert Alert.objects.get().delivered_at is not None


def test_subscriptions_of_others_and_channels_get_their_own(
    polled: PolledWorkspace, recorder: Recorder, ada: User
) -> None:
    bob = make_viewer("bob")
    polled.start_import()
    polled.poll()
    subscribe(ada)
    subscribe(ada)
    subscribe(bob)
    polled.poll_for(HOUR, every=300)
    assert sorted(message.to[0] for message in mail.outbox) == [
        "ada@example.org",
        "bob@example.org",
    ]
    assert recorder.events == ["import.started", "import.finished"]


def test_unsubscribed_user_gets_no_email(polled: PolledWorkspace, ada: User) -> None:
    polled.start_import()
    polled.poll()
    operation = subscribe(ada)
    assert subscriptions.is_subscribed(ada, operation)
    subscriptions.unsubscribe(ada, operation)
    assert not subscriptions.is_subscribed(ada, operation)
    polled.poll_for(HOUR, every=300)
    assert mail.outbox == []


def test_user_is_not_subscribed_to_an_import_that_has_ended(
    polled: PolledWorkspace, ada: User
) -> None:
    """The page was opened before the poll that saw the end."""
    polled.start_import()
    polled.poll()
    shown = ImportOperation.objects.get()
    polled.poll_for(HOUR, every=300)
    assert not subscriptions.subscribe(ada, shown, polled.clock.now())
    assert not Alert.objects.for_users().exists()


def test_email_ignores_maintenance(polled: PolledWorkspace, recorder: Recorder, ada: User) -> None:
    polled.start_import("failed")
    polled.poll()
    subscribe(ada)
    now = polled.clock.now()
    Incident.objects.mute("default", since=now, until=None, by="ada", at=now)
    polled.poll_for(HOUR, every=300)
    assert recorder.events == ["import.started"]
    assert subjects() == ["default: Import failed (CSV, people.csv)"]


def test_interruption_is_sent_when_no_newer_import_can_explain_it(
    polled: PolledWorkspace, ada: User
) -> None:
    interrupt_import(polled, ada)
    polled.poll(after=60)
    assert mail.outbox == []
    polled.poll_for(HOUR, every=300)
    assert subjects() == ["default: Import interrupted (CSV, people.csv)"]


def test_supersession_is_sent_instead_of_the_interruption(
    polled: PolledWorkspace, ada: User
) -> None:
    interrupt_import(polled, ada)
    assert Alert.objects.for_users().get().event == "import.interrupted"
    polled.start_import(seconds=HOUR)
    polled.poll(after=30)
    polled.poll_for(10 * MINUTE, every=300)
    assert subjects() == ["default: Import finished: Superseded (CSV, people.csv)"]


def test_interruption_that_was_sent_is_the_only_email(polled: PolledWorkspace, ada: User) -> None:
    """The newer import started in time, but was polled late."""
    interrupt_import(polled, ada)
    polled.start_import(seconds=HOUR)
    polled.clock.advance(5 * MINUTE)
    assert outbox.deliver(now=polled.clock.now) > 0
    polled.poll_for(10 * MINUTE, every=300)
    assert subjects() == ["default: Import interrupted (CSV, people.csv)"]


def test_import_that_moves_after_all_is_waited_for_again(ada: User) -> None:
    """Up to 6.2 another server's start invalidates an import that runs on."""
    running = {**helpers.RUNNING, "ts": int(NOON.timestamp() * 1000)}
    sync_documents(NOON, None, running)
    subscribe(ada)
    sync_documents(NOON + timedelta(minutes=1), running | {"valid": False})
    assert Alert.objects.for_users().get().delivery == Delivery.DUE
    moved = running | {"valid": False, "count": {"total": 300, "completed": 299}}
    sync_documents(NOON + timedelta(minutes=2), moved)
    assert Alert.objects.for_users().get().delivery == Delivery.WAITING
    done = moved | {"status": "importer_done", "count": {"total": 300, "completed": 300}}
    sync_documents(NOON + timedelta(hours=1), done)
    assert [subject.split(" (")[0] for subject in subjects()] == ["default: Import finished: Done"]


def test_user_can_subscribe_again_when_the_import_runs_again(ada: User) -> None:
    running, done = helpers.RUNNING, {**helpers.RUNNING, "status": "importer_done"}
    sync_documents(NOON, None, running)
    first = subscribe(ada)
    sync_documents(NOON + timedelta(hours=1), done)
    sync_documents(NOON + timedelta(hours=2), running)
    assert subscribe(ada) == first
    sync_documents(NOON + timedelta(hours=3), done)
    assert len(mail.outbox) == 2
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 2


def test_imports_that_fail_together_are_not_grouped(ada: User) -> None:
    for number in range(3):
        operation = make_row(number, status="importer_import_failed", state="error")
        operation.save()
        draft = draft_operation_alert(
            Event.FAILED,
            operation,
            at=NOON,
            key=f"failed:{number}",
            states=(None, "error"),
            log_from=NOON,
            step="",
            transition_pk=None,
        )
        assert subscriptions.subscribe(ada, operation, NOON)
        assert subscriptions.complete(draft, NOON) == 1
    outbox.deliver(now=lambda: NOON)
    assert len(mail.outbox) == 3


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"is_active": False}, "The user is inactive."),
        ({"email": ""}, "The user has no e-mail address."),
        ({"email": "a@b.example, c@d.example"}, "The user has no e-mail address."),
        ({"user_permissions": []}, "The user may no longer see imports."),
        (None, "The user does not exist any more."),
    ],
)
def test_email_is_given_up_if_the_user_may_not_get_it_any_more(
    polled: PolledWorkspace, ada: User, change: Mapping[str, Any] | None, error: str
) -> None:
    polled.start_import()
    polled.poll()
    subscribe(ada)
    if change is None:
        ada.delete()
    elif "user_permissions" in change:
        ada.user_permissions.clear()
    else:
        User.objects.update(**change)
    polled.poll_for(HOUR, every=300)
    alert = Alert.objects.for_users().get()
    assert (alert.delivery, alert.last_error) == (Delivery.GIVEN_UP, error)
    assert mail.outbox == []


def test_email_is_given_up_if_the_workspace_is_hidden_from_the_user(
    polled: PolledWorkspace, ada: User, settings: Any
) -> None:
    polled.start_import()
    polled.poll()
    subscribe(ada)
    hidden = settings.IMPORTMONITOR["WORKSPACES"]["default"] | {"GROUPS": ["crm"]}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": {"default": hidden}}
    polled.poll_for(HOUR, every=300)
    assert Alert.objects.for_users().get().last_error == "The user may no longer see imports."


@pytest.mark.parametrize(("is_superuser", "count"), [(False, 0), (True, 1)])
def test_groups_of_a_workspace_that_is_no_longer_configured_count(
    polled: PolledWorkspace,
    ada: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    is_superuser: bool,
    count: int,
) -> None:
    """An e-mail that could not be sent is tried again after the workspace has gone."""
    polled.start_import()
    polled.poll()
    subscribe(ada)
    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", Mock(side_effect=OSError))
        polled.poll_for(HOUR, every=300)
    assert not mail.outbox
    Workspace.objects.update(groups=store_groups(["crm"]))
    User.objects.update(is_superuser=is_superuser)
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": {}}
    outbox.deliver(now=lambda: polled.clock.now() + timedelta(hours=2))
    assert len(mail.outbox) == count


def test_email_is_in_the_language_of_the_site(polled: PolledWorkspace, ada: User) -> None:
    polled.start_import()
    polled.poll()
    subscribe(ada)
    with translation.override("de"):
        polled.poll_for(HOUR, every=300)
    assert subjects() == ["default: Import finished: Done (CSV, people.csv)"]


def test_refused_email_is_retried_and_corrected_meanwhile(
    polled: PolledWorkspace, ada: User, settings: Any
) -> None:
    sink = SmtpSink([(".", "451 try again")])
    with listening(sink) as server:
        configure_mail(settings, server.port)
        polled.start_import(seconds=HOUR)
        polled.poll_for(30 * MINUTE, every=300)
        subscribe(ada)
        polled.rocketchat.restart()
        polled.poll(after=30)
        polled.start_import(seconds=HOUR)
        polled.clock.advance(3 * MINUTE)
        outbox.deliver(now=polled.clock.now)
        assert sink.mails == []
        polled.poll_for(HOUR, every=300)
    assert [text.message["Subject"].partition(": ")[2] for text in sink.mails] == [
        "Import finished: Superseded (CSV, people.csv)"
    ]
    assert sink.mails[0].recipients == ["ada@example.org"]


def test_waiting_alert_is_not_due(
    polled: PolledWorkspace, ada: User, django_assert_num_queries: Any
) -> None:
    polled.start_import()
    polled.poll()
    subscribe(ada)
    later = polled.clock.now() + timedelta(days=30)
    rows = Alert.objects.for_users()
    assert rows.get().delivery == Delivery.WAITING
    assert not rows.due(later).exists()
    assert outbox.retry(rows, now=lambda: later) == (0, 0)
    with django_assert_num_queries(1):
        assert outbox.deliver(now=lambda: later) == 0
    assert mail.outbox == []


def test_pruned_import_takes_its_alerts_along(polled: PolledWorkspace, ada: User) -> None:
    polled.start_import()
    polled.poll()
    subscribe(ada)
    polled.poll_for(HOUR, every=300)
    polled.start_import()
    polled.poll()
    subscribe(ada)
    prune_operations(polled.clock.now())
    assert Alert.objects.for_users().get().delivery == Delivery.WAITING


def test_no_configured_channel_can_be_a_users() -> None:
    assert not NAME.fullmatch(f"{USER_CHANNEL}1")
