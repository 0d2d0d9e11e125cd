"""The cache that processes share: Django's default one, which a host can set up in any way.

Its server can be down, and its serializer may know JSON alone, so:

- values are plain: None, str, int, float, and lists and dicts (with str keys) of these;
- nothing here raises: without the cache, everything works, and the log says why it costs more.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from django.core.cache import cache

from importmonitor.logs import get_logger
from importmonitor.tenancy import get_scope

logger = get_logger(__name__)
T = TypeVar("T")

#: Seconds between two log records about a cache that fails: it is asked several times per request.
WARN_EVERY = 60.0

_warned_at = -WARN_EVERY


def make_key(purpose: str, *parts: object) -> str:
    """Return the key of an entry of this tenant, whether or not KEY_FUNCTION has the tenant.

    Hashed, because no text need be valid in a key of a cache.
    """
    text = "\0".join(map(str, (get_scope(), *parts))).encode("utf-8", "surrogatepass")
    return f"importmonitor:{purpose}:{hashlib.blake2s(text, digest_size=16).hexdigest()}"


def get(key: str) -> Any:
    """Return the value of an entry; None if there is none, or the cache failed."""
    return _ask(lambda: cache.get(key))


def set(key: str, value: Any, seconds: int) -> None:  # noqa: A001 - the verb of Django's caches
    """Store a plain value."""
    _ask(lambda: cache.set(key, value, seconds))


def add(key: str, value: Any, seconds: int) -> bool | None:
    """Store a plain value if there is none; return whether that was so, None if unknown."""
    return _ask(lambda: cache.add(key, value, seconds))


def delete(key: str) -> None:
    """Remove an entry."""
    _ask(lambda: cache.delete(key))


def increment(key: str, seconds: int) -> int | None:
    """Count from 1 on, in an entry that expires; return None if the cache failed."""
    count = _ask(lambda: _increment(key, seconds))
    if not isinstance(count, int):
        # django-redis with IGNORE_EXCEPTIONS raises nothing, and counts nothing.
        _warn("it does not count")
        return None
    return count


def _increment(key: str, seconds: int) -> int:
    try:
        return cache.incr(key)
    except ValueError:
        if not cache.add(key, 1, seconds):
            # Another request was first; or the cache stores nothing.
            with suppress(ValueError):
                return cache.incr(key)
        return 1


def _ask(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - each backend raises its own
        # Without its text, which can contain the server's password.
        _warn(type(error).__name__)
        return None


def _warn(reason: str) -> None:
    global _warned_at  # noqa: PLW0603 - of the process, as the cache is
    now = time.monotonic()
    if now - _warned_at >= WARN_EVERY:
        _warned_at = now
        logger.warning(
            "The cache failed (%s): rate limits do not apply, exports are limited in each process "
            "only, and past weeks are counted for every page.",
            reason,
        )
