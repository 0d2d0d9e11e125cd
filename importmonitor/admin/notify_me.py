"""“Notify me when it ends”: a button on the page of an import that has not ended."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from importmonitor.alerts import subscriptions
from importmonitor.models import Alert, ImportOperation
from importmonitor.permissions import can_view_imports

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def context(
    request: HttpRequest, operation: ImportOperation, alerts: Iterable[Alert] | None = None
) -> dict[str, Any]:
    """Return the context of `importmonitor/notify_me.html`.

    `alerts` are those about the import, if they have been read.
    """
    user = cast("User", request.user)
    if not operation.is_active or not can_view_imports(user):
        return {}
    return {
        "notify_me": {
            "operation": operation,
            "address": subscriptions.get_address(user),
            "is_on": subscriptions.is_subscribed(user, operation, alerts),
        }
    }


def notify_me(request: HttpRequest, operation: ImportOperation) -> None:
    """Subscribe the user to the end of an import or, with `notify` = "no", unsubscribe them."""
    user = cast("User", request.user)
    if not can_view_imports(user):
        raise PermissionDenied
    address = subscriptions.get_address(user)
    if request.POST.get("notify") == "no":
        subscriptions.unsubscribe(user, operation)
        messages.success(request, _("You will not be notified of the end of this import."))
    elif not address:
        messages.error(request, _("Your user has no e-mail address."))
    elif subscriptions.subscribe(user, operation, timezone.now()):
        text = _("An e-mail will be sent to %(address)s when this import ends.")
        messages.success(request, text % {"address": address})
    else:
        messages.info(request, _("This import has already ended."))
