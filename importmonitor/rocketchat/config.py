"""The address and the credentials of a workspace."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from importmonitor.secret import Secret

# A shorter part of a header could be a word that a response contains for other reasons.
_MIN_SECRET_LENGTH = 8


@dataclass(frozen=True)
class WorkspaceConfig:
    """A Rocket.Chat workspace and the credentials to poll it with.

    `url` has no trailing slash; `timeout` (for connecting, and between two bytes) and `deadline`
    (for a whole call) are in seconds. `headers` are pairs of a name and a value that are added to
    every request to this workspace. `groups` are the names of the Django groups that it is limited
    to, None if it is not limited. The credentials stay out of the `repr`, and so out of tracebacks
    that show local variables; their own `repr` hides them from those of requests.
    """

    alias: str
    url: str
    user_id: str = field(repr=False)
    auth_token: str = field(repr=False)
    ca_bundle: str | None = None
    timeout: float = 10.0
    deadline: float = 30.0
    allow_http: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "auth_token", Secret(self.auth_token))
        headers = tuple((name, Secret(value)) for name, value in self.headers)
        object.__setattr__(self, "headers", headers)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message, row or log may contain; the longer first, of which others are parts."""
        parts = {part for _, value in self.headers for part in _secret_parts(value)}
        long_parts = [part for part in parts if len(part) >= _MIN_SECRET_LENGTH]
        return (self.auth_token, *sorted(long_parts, key=len, reverse=True))


def _secret_parts(value: str) -> Iterator[str]:
    """Yield a header's value, its credentials without a scheme, and a Basic password."""
    scheme, _, credentials = value.rpartition(" ")
    yield value
    yield credentials
    if scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(credentials).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield user_and_password
        yield user_and_password.partition(":")[2]
