"""Rate limits: DRF's throttles and settings, counted in windows as Rocket.Chat counts.

Rocket.Chat counts in fixed windows, and sends in headers how much of a window is left. The counts
are in Django's default cache: with one for each process (`LocMemCache`), the limits apply to each
process; while it is down, they do not apply. It may hold as little as 300 entries, so no client can
choose how many there are: else it would evict its own count, and those of others.

A host sets the rates in DRF's own way, by scope; None is no limit:

    REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "60/min"}}
"""

import hashlib
import math
import time
from typing import NamedTuple, cast

from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from importmonitor import shared_cache
from importmonitor.models import get_viewer

CALLS = "importmonitor"
WRONG_TOKENS = "importmonitor_wrong_tokens"
#: 20 calls per second for each endpoint and user, where Rocket.Chat allows ten per minute.
DEFAULT_RATES = {CALLS: "1200/min", WRONG_TOKENS: "100/min"}
#: Addresses are counted in this many groups: whoever has an IPv6 network has 2^64 addresses.
ADDRESS_GROUPS = 64


class Window(NamedTuple):
    """A window of a limit: `limit` calls up to `resets_at` (seconds since 1970), `used` so far."""

    limit: int
    used: int
    resets_at: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def is_over_limit(self) -> bool:
        return self.used > self.limit

    @property
    def wait(self) -> float:
        """The seconds until the next window."""
        return max(0.0, self.resets_at - time.time())


class WindowThrottle(SimpleRateThrottle):
    """Counts requests in fixed windows of the clock."""

    num_requests: int | None
    duration: int | None

    def get_rate(self) -> str | None:
        rates = api_settings.DEFAULT_THROTTLE_RATES or {}
        scope = self.scope or ""
        return cast("str | None", rates.get(scope, DEFAULT_RATES[scope]))

    def count(self, ident: str) -> Window | None:
        """Count a call and return its window, or None if there is no limit."""
        # DRF's parse_rate sets both to None if there is no rate.
        if not self.duration or self.num_requests is None:
            return None
        number, limit = int(time.time() // self.duration), self.num_requests
        key = shared_cache.make_key(self.scope or "", number, ident)
        # Without the cache, every call is let through.
        used = shared_cache.increment(key, self.duration + 1) or 0
        return Window(limit, used, (number + 1) * self.duration)


def caller_key(request: Request, view: APIView) -> str:
    """Return the key that a user's calls to an endpoint are counted under.

    All aliases that are not configured have the same one, and so have those that the user may not
    see.
    """
    alias = view.kwargs.get("alias", "")
    if alias and not get_viewer(request).may_see(alias):
        alias = ""
    return f"{request.user.pk}:{alias}:{type(view).__name__}"


class CallThrottle(WindowThrottle):
    """Limits the calls of each user to each endpoint of each workspace."""

    scope = CALLS
    window: Window | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        return self.allow(caller_key(request, view))

    def allow(self, ident: str) -> bool:
        """Count a call and return whether it is allowed."""
        self.window = self.count(ident)
        return self.window is None or not self.window.is_over_limit

    def wait(self) -> float | None:
        return self.window.wait if self.window else None


class WrongTokenThrottle(WindowThrottle):
    """Limits the wrong tokens from one address, or rather from the addresses of one group.

    Valid tokens are accepted regardless: 256 bits cannot be guessed, and a single client with an
    old token would otherwise lock out all others behind the same proxy.
    """

    scope = WRONG_TOKENS

    def refuse(self, request: Request) -> None:
        """Raise AuthenticationFailed, or Throttled after too many wrong tokens."""
        digest = hashlib.blake2s(self._address(request).encode("utf-8", "surrogatepass")).digest()
        group = int.from_bytes(digest) % ADDRESS_GROUPS
        window = self.count(str(group))
        if window is not None and window.is_over_limit:
            raise Throttled(wait=math.ceil(window.wait))
        raise AuthenticationFailed

    def _address(self, request: Request) -> str:
        # Without NUM_PROXIES, DRF trusts any client's X-Forwarded-For.
        if api_settings.NUM_PROXIES is None:
            return request.META.get("REMOTE_ADDR") or ""
        return self.get_ident(request) or ""
