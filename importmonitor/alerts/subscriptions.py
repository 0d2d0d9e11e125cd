"""Users who have asked for one e-mail when an import ends, whichever way.

Each has a row in the outbox. It waits until the sync writes the end, and is then sent as any other.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction

from importmonitor.alerts.channels import is_address
from importmonitor.alerts.drafts import AlertDraft
from importmonitor.choices import Event
from importmonitor.conf.channels import ChannelConfig
from importmonitor.models import Alert, Delivery, ImportOperation, Viewer
from importmonitor.models.alerts import ENDED, USER_CHANNEL, AlertQuerySet
from importmonitor.models.tokens import users
from importmonitor.permissions import can_view_imports
from importmonitor.secret import hide
from importmonitor.tenancy import store_alias

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: How users get their alerts.
EMAIL_BACKEND = "importmonitor.alerts.channels.EmailChannel"


class NoRecipient(Exception):
    """A user cannot get e-mails about imports. The text says why, without the address."""


def get_address(user: "User") -> str:
    """Return the e-mail address of a user, "" if there is none that can be used."""
    address = getattr(user, user.get_email_field_name(), "")
    return address if is_address(address) else ""


def is_subscribed(
    user: "User", operation: ImportOperation, alerts: Iterable[Alert] | None = None
) -> bool:
    """Return whether a user gets an e-mail when an import ends.

    `alerts` are those about the import, if they have been read.
    """
    if alerts is None:
        return _waiting(user, operation).exists()
    name = _channel_name(user)
    return any(row.channel == name and row.delivery == Delivery.WAITING for row in alerts)


def subscribe(user: "User", operation: ImportOperation, at: datetime) -> bool:
    """Have an e-mail sent to a user when an import ends; return False if it has ended.

    Call it outside a transaction. A user who has subscribed already gets one e-mail.
    """
    alert = Alert(
        event=ENDED,
        workspace=operation.workspace,
        operation=operation,
        channel=_channel_name(user),
        key=_key(operation),
        body={},
        created_at=at,
    )
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    with transaction.atomic(using=store_alias()):
        # Waits for a sync that is writing the end, and may not have seen the alert.
        rows = ImportOperation.objects.select_for_update().defer("payload")
        locked = rows.filter(pk=operation.pk).first()
        if locked is not None and locked.is_active:
            return True
        unsubscribe(user, operation)
    return False


def unsubscribe(user: "User", operation: ImportOperation) -> None:
    """Have no e-mail sent to a user when an import ends."""
    _waiting(user, operation).delete()


def complete(draft: AlertDraft, at: datetime) -> int:
    """Make the alerts due that wait for the end of an import, and return how many.

    Their key is no longer that of the import: if it runs again, users can subscribe again.
    """
    key = f"notify:{draft.key}"
    # An update sees what other processes have committed meanwhile, unlike rows read before.
    return _rows(draft, Delivery.WAITING).update(**_values(draft, key, at), key=key)


def correct(draft: AlertDraft, at: datetime) -> int:
    """Let the alerts about the end of an import that are not sent say another one instead."""
    rows = _rows(draft, Delivery.DUE).unclaimed(at)
    return sum(
        rows.filter(pk=pk).update(**_values(draft, key, at))
        for pk, key in rows.values_list("pk", "key")
    )


def reset(operation: ImportOperation) -> None:
    """Let the alerts about an interruption that was none, and that are not sent, wait again."""
    rows = Alert.objects.for_users().filter(operation=operation, event=Event.INTERRUPTED)
    rows.filter(delivery=Delivery.DUE, attempts=0).update(
        event=ENDED, key=_key(operation), body={}, not_before=None, next_attempt_at=None
    )


def channel_of_user(name: str, workspace: str) -> ChannelConfig:
    """Return the channel of an alert about a workspace that a user has asked for.

    Raises NoRecipient if there is no such user now, or they may no longer see its imports.
    """
    user = _find_user(name)
    if user is None:
        raise NoRecipient("The user does not exist any more.")
    if not user.is_active:
        raise NoRecipient("The user is inactive.")
    viewer = Viewer(user)
    # The settings no longer have the groups of every workspace.
    is_hidden = viewer.hidden_workspaces().filter(alias=workspace).exists()
    may_see = not is_hidden and not viewer.is_refused(workspace)
    if not can_view_imports(user) or not may_see:
        raise NoRecipient("The user may no longer see imports.")
    address = get_address(user)
    if not address:
        raise NoRecipient("The user has no e-mail address.")
    return ChannelConfig(name, EMAIL_BACKEND, frozenset(), hide({"TO": [address]}))


def read_user_names(alerts: Collection[Alert]) -> None:
    """Set `user_name` of the alerts that users have asked for, in one query if there are any."""
    keys = {row.channel: _user_key(row.channel) for row in alerts if _is_of_user(row)}
    if known := [key for key in keys.values() if key is not None]:
        names = {user.pk: user.get_username() for user in users().filter(pk__in=known)}
        for row in filter(_is_of_user, alerts):
            row.user_name = names.get(keys[row.channel], "")


def _find_user(name: str) -> "User | None":
    key = _user_key(name)
    return None if key is None else users().filter(pk=key).first()


def _is_of_user(alert: Alert) -> bool:
    return bool(alert.channel.startswith(USER_CHANNEL))


def _user_key(channel: str) -> Any:
    """Return the key of the user whose channel it is; None if the host's users have others now."""
    key = get_user_model()._meta.pk
    try:
        return key.to_python(channel.removeprefix(USER_CHANNEL))
    except ValidationError:
        return None


def _waiting(user: "User", operation: ImportOperation) -> AlertQuerySet:
    return Alert.objects.filter(
        key=_key(operation), channel=_channel_name(user), delivery=Delivery.WAITING
    )


def _channel_name(user: "User") -> str:
    return USER_CHANNEL + user._meta.pk.value_to_string(user)


def _key(operation: ImportOperation) -> str:
    return f"notify:{operation.pk}"


def _rows(draft: AlertDraft, delivery: Delivery) -> AlertQuerySet:
    rows = Alert.objects.for_users()
    return rows.filter(operation_id=draft.operation_pk, delivery=delivery).order_by()


def _values(draft: AlertDraft, key: str, at: datetime) -> dict[str, Any]:
    return {
        "event": draft.event,
        "transition_id": draft.transition_pk,
        "body": draft.body | {"idempotency_key": key},
        "created_at": at,
        "not_before": draft.not_before,
        "next_attempt_at": draft.not_before or at,
    }
