"""Pings of a dead-man's switch such as healthchecks.io, which raises an alarm when they stop.

Its address is a secret: whoever has it can send pings. So no text of a library is logged.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from queue import SimpleQueue
from typing import NamedTuple
from urllib.parse import urlsplit

from django.db.models import Q
from django.utils import timezone

from importmonitor import __version__, conf
from importmonitor.alerts.deadline import DeadlinePassed, deadline
from importmonitor.choices import GOOD_STATUSES
from importmonitor.logs import get_logger
from importmonitor.models import Workspace
from importmonitor.models.workspace_queries import CLOCK_SKEW
from importmonitor.rocketchat.urls import is_loopback
from importmonitor.secret import Secret
from importmonitor.sync.poll import SyncResult

logger = get_logger(__name__)

#: How long the ping of a round's start, and that of its result, may take, in seconds.
START_DEADLINE = 2.0
DEADLINE = 3.0

# A watch pings once in so many seconds, at most.
_MIN_INTERVAL = 60.0
# A round of a watch lasts for so many seconds, at most.
_MAX_ROUND = 900.0
# A body names as many workspaces that failed.
_MAX_NAMED = 20

# The addresses whose last ping failed: the next failure is no news.
_failing: set[str] = set()


class _Ping(NamedTuple):
    suffix: str
    body: str
    seconds: float


class Heartbeat:
    """Pings HEARTBEAT_URL, if it is set, for rounds of polls.

    In a daemon thread, so that a server that hangs delays no poll; one ping after the other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = Secret(conf.get_options().heartbeat_url)
        self._clock = clock
        #: Of the present round of a watch, which began then: what was polled, and what failed.
        self._started_at = clock() - _MIN_INTERVAL
        self._polled: set[str] = set()
        self._failures: dict[str, str] = {}
        self._pings: SimpleQueue[_Ping | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start_round(self) -> None:
        """Announce the result of a round."""
        self._send("/start", "", START_DEADLINE)

    def end_round(self, results: Mapping[str, SyncResult | None]) -> None:
        """Report a round's results by alias, None for a poll without one.

        Workspaces that were skipped did not fail.
        """
        failures = (_failure(alias, result) for alias, result in results.items())
        self.report([failure for failure in failures if failure])

    def note(self, alias: str, result: SyncResult | None, count: int) -> None:
        """Note a result of a watch of so many workspaces, None for a poll without one.

        Its rounds end when all workspaces have been polled again, and a minute after each other. At
        the latest after a quarter of an hour: other processes may poll the rest, and Rocket.Chat
        may have asked not to poll one for a day.
        """
        self._polled.add(alias)
        self._failures.pop(alias, None)
        if failure := _failure(alias, result):
            self._failures[alias] = failure
        lasted = self._clock() - self._started_at
        if lasted >= _MAX_ROUND or (lasted >= _MIN_INTERVAL and len(self._polled) >= count):
            self.report(list(self._failures.values()))
            self._polled, self._failures = set(), {}
            self._started_at = self._clock()

    def report(self, failures: Collection[str]) -> None:
        """Report a round by the workspaces that could not be polled."""
        if not failures:
            self._send("", "", DEADLINE)
            return
        named = ", ".join(list(failures)[:_MAX_NAMED])
        more = f" and {len(failures) - _MAX_NAMED} more" if len(failures) > _MAX_NAMED else ""
        self._send("/fail", f"Could not be polled: {named}{more}", DEADLINE)

    def finish(self) -> None:
        """Wait until the pings are sent, at most for as long as they may take."""
        if self._thread is None:
            return
        self._pings.put(None)
        self._thread.join(START_DEADLINE + DEADLINE)
        if self._thread.is_alive():
            # Python cannot interrupt the resolver.
            _log(self._url, "it takes too long")
        self._thread = None

    def _send(self, suffix: str, body: str, seconds: float) -> None:
        if not self._url:
            return
        self._pings.put(_Ping(suffix, body, seconds))
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="importmonitor-heartbeat", daemon=True
            )
            self._thread.start()

    def _work(self) -> None:
        while ping := self._pings.get():
            _log(self._url, _attempt(_address(self._url, ping.suffix), ping.body, ping.seconds))


def report_stored(every: timedelta | None = None) -> None:
    """Ping by the stored results, for rounds whose polls are tasks of their own.

    At the start of a round, these are the results of the one before. With `every`, the interval of
    the rounds, a workspace has failed too if it was not polled in the last two.
    """
    if not conf.get_options().heartbeat_url:
        return
    now = timezone.now()
    configured = Workspace.objects.listed()
    # Before the first polls there is no result.
    if not configured.filter(last_polled_at__isnull=False).exists():
        return
    failed = ~Q(sync_status__in=GOOD_STATUSES)
    if every is not None:
        failed |= ~Q(last_polled_at__range=(now - 2 * every, now + CLOCK_SKEW))
    failed_rows = configured.filter(failed).exclude(not_before__gt=now)
    heartbeat = Heartbeat()
    heartbeat.report(list(failed_rows.order_by("pk").values_list("alias", flat=True)))
    heartbeat.finish()


def _failure(alias: str, result: SyncResult | None) -> str:
    """Return how a workspace is named if its poll failed, else ""."""
    if result is None:
        return alias
    return "" if result.error is None else f"{alias} ({result.error.kind})"


def _address(url: str, suffix: str) -> Secret:
    path, mark, query = map(Secret, url.partition("?"))
    return Secret(f"{path.rstrip('/')}{suffix}{mark}{query}")


def _attempt(url: Secret, body: str, seconds: float) -> str:
    """Send a ping; return what was wrong, or ""."""
    try:
        with deadline(seconds):
            status = _request(url, body, seconds)
    except (DeadlinePassed, TimeoutError):
        return f"no response within {seconds:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the poll was good
        # Without its text and its cause's, which can quote the address.
        reason = getattr(error, "reason", None)
        if isinstance(reason, TimeoutError):
            return f"no response within {seconds:g} s"
        return type(reason if isinstance(reason, Exception) else error).__name__
    if 200 <= status < 300:
        return ""
    is_redirect = 300 <= status < 400
    return f"HTTP status {status}" + (", and redirects are not followed" if is_redirect else "")


def _request(url: Secret, body: str, timeout: float) -> int:
    """Send one request, without following redirects; return the status of the response."""
    # Imported late: it is not needed for most polls by cron.
    from urllib.request import (
        HTTPHandler,
        HTTPSHandler,
        OpenerDirector,
        ProxyHandler,
        Request,
    )

    opener = OpenerDirector()
    proxies = ProxyHandler({}) if is_loopback(urlsplit(url).hostname or "") else ProxyHandler()
    for handler in (proxies, HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"importmonitor/{__version__}")]
    request = Request(url, data=body.encode() or None)  # noqa: S310 - checked: http or https
    with opener.open(request, timeout=timeout) as response:
        return int(response.status)


def _log(url: str, problem: str) -> None:
    """Log a problem with a ping, unless the ping before had one."""
    if problem and url not in _failing:
        logger.warning("The heartbeat could not be sent to HEARTBEAT_URL: %s.", problem)
    if problem:
        _failing.add(url)
    else:
        _failing.discard(url)
