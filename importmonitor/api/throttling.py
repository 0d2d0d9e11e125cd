"""How often one may ask: DRF's throttles and its settings, counted as Rocket.Chat counts.

Rocket.Chat counts in windows that begin anew, and says in headers how much is left of one. The
counts are in Django's default cache: with one for each process (`LocMemCache`), each process
allows as much.

A host sets the rates in DRF's own way, by scope; None is no limit:

    REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "60/min"}}
"""

import hashlib
import math
import time
from contextlib import suppress
from typing import NamedTuple, cast

from django.core.cache import cache
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

CALLS = "importmonitor"
WRONG_TOKENS = "importmonitor_wrong_tokens"
#: Twenty calls a second of each endpoint and user, where Rocket.Chat allows ten a minute.
RATES = {CALLS: "1200/min", WRONG_TOKENS: "100/min"}


class Window(NamedTuple):
    """What a limit allows: `limit` calls up to `resets_at` (seconds since 1970), `used` so far."""

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
        """In how many seconds one may ask again."""
        return max(0.0, self.resets_at - time.time())


class WindowThrottle(SimpleRateThrottle):
    """Counts what is asked for in windows of the clock."""

    num_requests: int | None
    duration: int | None

    def get_rate(self) -> str | None:
        rates = api_settings.DEFAULT_THROTTLE_RATES or {}
        scope = self.scope or ""
        return cast("str | None", rates.get(scope, RATES[scope]))

    def count(self, ident: str) -> Window | None:
        """Count a call; return how the window stands with it, or None without a limit."""
        # DRF's own parse_rate has None for both where there is no rate.
        if not self.duration or self.num_requests is None:
            return None
        number, limit = int(time.time() // self.duration), self.num_requests
        # Hashed: what came in a URL can be longer than a cache's keys, and have spaces.
        who = hashlib.blake2s(ident.encode(), digest_size=16).hexdigest()
        key = f"importmonitor:{self.scope}:{number}:{who}"
        try:
            used = cache.incr(key)
        except ValueError:
            used = 1
            if not cache.add(key, used, timeout=self.duration + 1):
                # Somebody else was first; or the cache keeps nothing.
                with suppress(ValueError):
                    used = cache.incr(key)
        return Window(limit, used, (number + 1) * self.duration)


def caller(request: Request, view: APIView) -> str:
    """Return by what a user's calls of an endpoint are counted."""
    return f"{request.user.pk}:{view.kwargs.get('alias', '')}:{type(view).__name__}"


class CallThrottle(WindowThrottle):
    """Limits the calls of each user to each endpoint of each workspace."""

    scope = CALLS
    window: Window | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        return self.allow(caller(request, view))

    def allow(self, ident: str) -> bool:
        """Count a call of a caller; tell if it is allowed."""
        self.window = self.count(ident)
        return self.window is None or not self.window.is_over_limit

    def wait(self) -> float | None:
        return self.window.wait if self.window else None


class WrongTokenThrottle(WindowThrottle):
    """Limits the wrong tokens from one address.

    Good ones are let in all the same: nobody guesses 256 bits, but behind one proxy one tool with
    an old token would lock out everybody.
    """

    scope = WRONG_TOKENS

    def refuse(self, request: Request) -> None:
        """Raise AuthenticationFailed, or Throttled where there have been too many."""
        window = self.count(self._address(request))
        if window is not None and window.is_over_limit:
            raise Throttled(wait=math.ceil(window.wait))
        raise AuthenticationFailed

    def _address(self, request: Request) -> str:
        # Unless it is told how many proxies there are, DRF takes an address from anybody's header.
        if api_settings.NUM_PROXIES is None:
            return request.META.get("REMOTE_ADDR") or ""
        return self.get_ident(request) or ""
