"""What can go wrong when a workspace is asked, told apart by what somebody has to do about it."""

from datetime import datetime
from typing import Any, ClassVar


class RocketChatError(Exception):
    """A workspace could not be looked at. Its text is for people and never holds a credential."""

    #: Whether asking again later, with nothing else changed, can help.
    transient: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """The stable name of what went wrong, as it stands in JSON and in `SyncPeriod.outcome`."""
        return type(self).__name__


class Unreachable(RocketChatError):
    """Nothing that could be Rocket.Chat answered: DNS, refused, reset, TLS, time-out, 5xx."""

    transient = True


class RateLimited(RocketChatError):
    """Rocket.Chat wants to be left alone until `until` (aware datetime)."""

    transient = True

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Unauthenticated(RocketChatError):
    """The user id or the token is not, or no longer, accepted."""


class PermissionMissing(RocketChatError):
    """The credentials are good; their user lacks `permission` in Rocket.Chat."""

    def __init__(self, message: str, *, permission: str) -> None:
        super().__init__(message)
        self.permission = permission


class TwoFactorRequired(RocketChatError):
    """The token is one for which Rocket.Chat asks a second factor."""


class NotRocketChat(RocketChatError):
    """Something else answered: a web page, a redirect, a path that does not exist."""


class BadAnswer(RocketChatError):
    """Not an answer to the question: not JSON, the wrong shape, too large, too deep."""

    transient = True


KINDS: tuple[type[RocketChatError], ...] = (
    Unreachable,
    RateLimited,
    Unauthenticated,
    PermissionMissing,
    TwoFactorRequired,
    NotRocketChat,
    BadAnswer,
)


def reason(error: BaseException) -> str:
    """Return the innermost reason of an error: requests wraps it in two layers of names."""
    *_, innermost = causes(error)
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror
    return str(innermost) or type(innermost).__name__


def causes(error: BaseException) -> list[BaseException]:
    """Return an error and what lies within it, whichever way it is wrapped, the innermost last."""
    found = [error]
    while len(found) < 10:
        outer: Any = found[-1]
        within = [getattr(outer, "reason", None), *outer.args, outer.__cause__]
        inner = next((each for each in within if isinstance(each, BaseException)), None)
        if inner is None or inner in found:
            break
        found.append(inner)
    return found
