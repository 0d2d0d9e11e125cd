"""The settings of one alert channel, and every mistake in their shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from importmonitor.choices import Event
from importmonitor.conf.problems import Problems

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
NAME_MAX_LENGTH = 63


@dataclass(frozen=True)
class ChannelConfig:
    """Where alerts go: the dotted path of a backend, the events it wants, its own options.

    The options can hold passwords and stay out of the `repr`.
    """

    name: str
    backend: str
    events: frozenset[Event]
    options: Mapping[str, Any] = field(repr=False)


def read_channel(name: object, options: object, problems: Problems) -> ChannelConfig | None:
    """Read one entry of CHANNELS; report its mistakes and return None if it has any.

    A system check makes the backend of its options, since that has to import it.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        problems.error(
            "E019",
            f"The name {name!r} of a channel cannot be used.",
            "Use letters, digits, '-', '_' and '.', at most 63.",
        )
        return None
    if not isinstance(options, Mapping) or not isinstance(options.get("BACKEND"), str):
        problems.error(
            "E019",
            f"The channel {name!r} has no BACKEND.",
            "Make it a dict with BACKEND, such as 'importmonitor.alerts.channels.EmailChannel'.",
        )
        return None
    names = options.get("EVENTS", "*")
    events = set(Event) if names == "*" else _events(names)
    if events is None:
        problems.error(
            "E019",
            f"The channel {name!r} wants the EVENTS {names!r}.",
            f"Make it '*' or a list of some of {', '.join(Event)}.",
        )
        return None
    rest = {key: value for key, value in options.items() if key not in {"BACKEND", "EVENTS"}}
    return ChannelConfig(name, options["BACKEND"], frozenset(events), rest)


def _events(names: object) -> set[Event] | None:
    if not isinstance(names, list | tuple | set | frozenset):
        return None
    try:
        return {Event(name) for name in names}
    except ValueError:
        return None
