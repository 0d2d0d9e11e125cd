"""Channels that bring messages no further than the test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from importmonitor.alerts.messages import Message


@dataclass
class Post:
    """What the recording channels were given, by the channel's name, in order.

    `on_send` are done instead of delivering, by the channel's name; what they raise, it raises.
    """

    attempted: list[tuple[str, Message]] = field(default_factory=list)
    delivered: list[tuple[str, Message]] = field(default_factory=list)
    on_send: dict[str, Callable[[], None]] = field(default_factory=dict)

    @property
    def messages(self) -> list[Message]:
        return [message for _, message in self.delivered]

    @property
    def attempted_messages(self) -> list[Message]:
        return [message for _, message in self.attempted]

    @property
    def events(self) -> list[str]:
        return [message.body["event"] for message in self.messages]

    def fail(self, error: BaseException, name: str = "ops") -> None:
        """Let a channel raise this, until it is mended."""

        def trouble() -> None:
            raise error

        self.on_send[name] = trouble

    def mend(self) -> None:
        self.on_send.clear()


#: The channels are made by their dotted path: this is how they find what a test looks at.
POST = Post()


class Recording:
    """Keeps what it is to send. Option: NAME."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.name = options.get("NAME", "ops")

    def send(self, message: Message) -> None:
        POST.attempted.append((self.name, message))
        if on_send := POST.on_send.get(self.name):
            on_send()
        POST.delivered.append((self.name, message))


class Unmakeable:
    """Breaks on its options, as a host's own class may."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        raise LookupError(options["PASSWORD"])


def recording(name: str = "ops", **options: Any) -> dict[str, Any]:
    """Return the options of a recording channel."""
    return {"BACKEND": f"{__name__}.Recording", "NAME": name, **options}
