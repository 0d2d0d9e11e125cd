"""A process-local cache of responses, so that an endpoint that is requested often is cheap.

A cached response is served for at most `REMEMBER_FOR`, a second or less, even after its data, its
token or a permission has changed. Measured: `python -m benchmarks.endpoint`.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

#: With this many responses, expired ones are removed; with as many valid ones, none is added.
_MAX_RESPONSES = 1000


class Key(NamedTuple):
    """An endpoint, and the credentials as they came, valid or not.

    `scope` is the database and the schema of the tenant; `token` is a digest: the text of a token
    is not kept.
    """

    scope: str
    endpoint: str
    workspace: str
    user_id: str
    token: str


@dataclass(frozen=True)
class CachedResponse:
    """A successful response, and the `caller` whose rate limit its requests count against.

    `expires_at` is on the monotonic clock; `body` is None if the response was a 304.
    """

    expires_at: float
    caller: str
    etag: str
    last_modified: int
    headers: dict[str, str]
    body: bytes | None


_responses: dict[Key, CachedResponse] = {}


def get(key: Key) -> CachedResponse | None:
    """Return the response that is cached under a key, unless it has expired."""
    response = _responses.get(key)
    return response if response and time.monotonic() < response.expires_at else None


def set(key: Key, response: CachedResponse) -> None:  # noqa: A001 - the verb of Django's caches
    """Cache a response until it expires."""
    now = time.monotonic()
    if response.expires_at <= now:
        return
    if len(_responses) >= _MAX_RESPONSES:
        for other, cached in list(_responses.items()):
            if cached.expires_at <= now:
                _responses.pop(other, None)
    if len(_responses) < _MAX_RESPONSES:
        _responses[key] = response


def clear() -> None:
    """Remove all responses."""
    _responses.clear()
