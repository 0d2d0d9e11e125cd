"""A test message through channels, delivered as alerts are."""

import time
import uuid
from collections.abc import Sequence

from django.utils import timezone

from importmonitor.alerts import outbox
from importmonitor.alerts.drafts import draft_test_alert
from importmonitor.conf.channels import ChannelConfig
from importmonitor.models import Alert, Workspace


def send_test_alert(channels: Sequence[ChannelConfig], *, seconds: float) -> list[Alert]:
    """Send a test message through these channels, and return its alerts.

    What is not delivered after so many seconds is left to the next polls.
    """
    now = timezone.now()
    rows = Workspace.objects.listed().order_by("pk")
    workspace = rows.values_list("alias", flat=True).first()
    draft = draft_test_alert(workspace or "importmonitor", at=now, key=f"test:{uuid.uuid4()}")
    outbox.write([draft], now, channels)
    alerts = Alert.objects.filter(key=draft.key).order_by("pk")
    ends_at = time.monotonic() + seconds
    # A concurrent poll may be delivering some of them.
    pending = alerts.exclude(next_attempt_at=None)
    while pending.exists() and (left := ends_at - time.monotonic()) > 0:
        outbox.deliver(key=draft.key, seconds=min(left, outbox.MAX_SECONDS))
        if pending.exists():
            time.sleep(0.2)
    return list(alerts)
