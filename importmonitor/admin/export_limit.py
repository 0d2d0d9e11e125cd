"""One export at a time for each user.

A streamed response keeps a thread of the server until its client has read it, or is gone; clients
that read nothing would soon have all threads. So another export of the same user is refused until
the first response is closed, which a server does however a request ends.

Within a process, the lock itself says whether it is held, however long a client pauses. For other
processes, Django's default cache does. A killed process closes nothing, so the entry expires unless
an export that progresses renews it. A cache of the process alone, or one that is down, lets the
exports of other processes through.
"""

import secrets
import time
from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary

from django.http import StreamingHttpResponse

from importmonitor import shared_cache

#: Seconds after which the cache forgets an export that sends nothing.
TIMEOUT = 60
#: Seconds between renewals.
RENEW_EVERY = 20

#: The locks of this process, by user. Weak: one whose response is gone without being closed, as
#: after an error under ASGI, is no longer held.
_locks: WeakValueDictionary[str, "ExportLock"] = WeakValueDictionary()


class ExportLock:
    """The right of a user to export."""

    def __init__(self, user: Any) -> None:
        self.key = shared_cache.make_key("export", user.pk)
        self.is_held = False
        # Identifies the entry: that of another lock is not released.
        self._value = secrets.token_hex(8)
        self._renewed_at = 0.0

    def acquire(self) -> bool:
        """Return whether the user has no other export; if so, hold the lock."""
        other = _locks.get(self.key)
        if other is not None and other.is_held:
            return False
        # A cache that stores nothing need not be able to add, either.
        is_added = shared_cache.add(self.key, self._value, TIMEOUT)
        self.is_held = bool(is_added) or shared_cache.get(self.key) is None
        if self.is_held:
            self._renewed_at = time.monotonic()
            _locks[self.key] = self
        return self.is_held

    def renew_during(self, chunks: Iterator[str]) -> Iterator[str]:
        """Yield the chunks, and renew the lock meanwhile."""
        for chunk in chunks:
            if time.monotonic() - self._renewed_at >= RENEW_EVERY:
                self._renewed_at = time.monotonic()
                shared_cache.set(self.key, self._value, TIMEOUT)
            yield chunk

    def release(self) -> None:
        """Let the user export again, if this lock is held."""
        if self.is_held:
            self.is_held = False
            if shared_cache.get(self.key) == self._value:
                shared_cache.delete(self.key)


class ExportResponse(StreamingHttpResponse):
    """A streamed file; closing it releases the lock."""

    def __init__(self, lock: ExportLock, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = lock

    def close(self) -> None:
        self._lock.release()
        super().close()
