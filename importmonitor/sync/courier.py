"""The thread that delivers alerts, so that no poll waits for a channel."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from django.db import connections
from django.utils import timezone

from importmonitor.alerts import outbox
from importmonitor.logs import get_logger
from importmonitor.sync.poll import database_errors, deliver_alerts
from importmonitor.tenancy import capture_tenant

logger = get_logger(__name__)

# How long the end of a process waits for the delivery that has begun, in seconds. One that takes
# longer is repeated by another process when its claim has expired.
_GRACE = 3.0


class Courier:
    """Delivers alerts of one tenant in a thread of its own.

    It is a daemon: it keeps no process from ending.
    """

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def wake(self) -> None:
        """Deliver what is due, after what is being delivered now."""
        with self._lock:
            self._due.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work,
                    args=(capture_tenant(),),
                    name="importmonitor-courier",
                    daemon=True,
                )
                self._thread.start()

    def finish(self) -> None:
        """Wait until what is due has been delivered, or attempted."""
        self._join(outbox.MAX_SECONDS + outbox.DELIVERY_DEADLINE + _GRACE)

    def stop(self) -> None:
        """Begin no further delivery, and wait until the present one is over."""
        self._is_stopped = True
        self._join(_GRACE)

    def _join(self, timeout: float) -> None:
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _work(self, activate_tenant: Callable[[], None]) -> None:
        activate_tenant()
        while True:
            with self._lock:
                if self._is_stopped or not self._due.is_set():
                    self._thread = None
                    return
                self._due.clear()
            try:
                deliver_alerts(self._now, lambda: self._is_stopped)
            except Exception:
                logger.exception("Alerts could not be delivered.")
            for connection in connections.all(initialized_only=True):
                with suppress(*database_errors()):
                    connection.close()
