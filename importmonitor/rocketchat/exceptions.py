"""The errors of a request to a workspace, one class for each thing that an operator can do."""

import re
from datetime import datetime
from typing import Any, ClassVar


class RocketChatError(Exception):
    """A workspace could not be polled. Its text is for people and never contains a credential."""

    #: Whether the same request can succeed later with nothing else changed.
    transient: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """The stable name of the error, as in JSON and in `SyncPeriod.outcome`."""
        return type(self).__name__


class Unreachable(RocketChatError):
    """No response that could be Rocket.Chat's: DNS, refused, reset, TLS, time-out, 5xx."""

    transient = True


class RateLimited(RocketChatError):
    """Rocket.Chat refuses requests until `until` (an aware datetime)."""

    transient = True

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Unauthenticated(RocketChatError):
    """The user id or the token is invalid or has been revoked."""


class PermissionMissing(RocketChatError):
    """The credentials are valid, but their user lacks `permission` in Rocket.Chat."""

    def __init__(self, message: str, *, permission: str) -> None:
        super().__init__(message)
        self.permission = permission


class TwoFactorRequired(RocketChatError):
    """Rocket.Chat requires a second factor for the token."""


class NotRocketChat(RocketChatError):
    """The response is not Rocket.Chat's: a web page, a redirect, a path that does not exist."""


class InternalError(RocketChatError):
    """The poll failed for a reason that is not Rocket.Chat's: a bug, or no memory."""


class BadAnswer(RocketChatError):
    """The response is not what the endpoint returns: not JSON, wrong shape, too large, too deep."""

    transient = True


KINDS: tuple[type[RocketChatError], ...] = (
    Unreachable,
    RateLimited,
    Unauthenticated,
    PermissionMissing,
    TwoFactorRequired,
    NotRocketChat,
    BadAnswer,
    InternalError,
)


def root_cause_message(error: BaseException) -> str:
    """Return the message of an error's root cause: requests and urllib3 wrap it twice.

    Without the credentials in URLs, also in those that no parser accepts: urllib3 quotes the URL
    of a proxy as it is.
    """
    *_, root_cause = cause_chain(error)
    if isinstance(root_cause, OSError) and root_cause.strerror:
        return root_cause.strerror
    return re.sub(r"(?<=://)\S*@", "[hidden]@", str(root_cause)) or type(root_cause).__name__


def cause_chain(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, the root cause last.

    urllib3 keeps a cause in `reason`, requests in `args`, Python in `__cause__`.
    """
    chain = [error]
    while len(chain) < 10:
        outer: Any = chain[-1]
        candidates = [getattr(outer, "reason", None), *outer.args, outer.__cause__]
        cause = next((item for item in candidates if isinstance(item, BaseException)), None)
        if cause is None or cause in chain:
            break
        chain.append(cause)
    return chain
