"""Channels that record messages instead of delivering them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from importmonitor.alerts.messages import Message


@dataclass
class Recorder:
    """The messages of the recording channels, with the channel's name, in order.

    `on_send` maps names of channels to functions that are called before a message is delivered;
    if one raises, it is not.
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
        """Let a channel raise an exception until `restore`."""

        def raise_error() -> None:
            raise error

        self.on_send[name] = raise_error

    def restore(self) -> None:
        self.on_send.clear()


#: A global, since channels are instantiated by their dotted path.
RECORDER = Recorder()


class Recording:
    """Records messages. Option: NAME."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.name = options.get("NAME", "ops")

    def send(self, message: Message) -> None:
        RECORDER.attempted.append((self.name, message))
        if on_send := RECORDER.on_send.get(self.name):
            on_send()
        RECORDER.delivered.append((self.name, message))


class Unloadable:
    """Raises on its options, as a host's own class may."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        raise LookupError(options["PASSWORD"])


def recording(name: str = "ops", **options: Any) -> dict[str, Any]:
    """Return the options of a recording channel."""
    return {"BACKEND": f"{__name__}.Recording", "NAME": name, **options}
