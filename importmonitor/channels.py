"""One channel for alerts as it is configured, and every mistake that can be made in its shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from importmonitor.events import Event
from importmonitor.workspaces import Problem

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
NAME_MAX_LENGTH = 63


@dataclass(frozen=True)
class Channel:
    """Where alerts go: the dotted path of a backend, the events it wants, its own options.

    The options can hold passwords and stay out of the `repr`.
    """

    name: str
    backend: str
    events: frozenset[Event]
    options: Mapping[str, Any] = field(repr=False)


def read_channel(name: object, options: object) -> tuple[Channel | None, list[Problem]]:
    """Read one entry of CHANNELS; return the channel, or None and what is wrong with it.

    What its backend makes of the options, a system check finds out: it has to be imported.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return None, [
            Problem(
                "E019",
                f"The name {name!r} of a channel cannot be used.",
                "Use letters, digits, '-', '_' and '.', at most 63.",
            )
        ]
    if not isinstance(options, Mapping) or not isinstance(options.get("BACKEND"), str):
        return None, [
            Problem(
                "E019",
                f"The channel {name!r} has no BACKEND.",
                "Make it a dict with BACKEND: 'importmonitor.alerts.channels.EmailChannel', say.",
            )
        ]
    wanted = options.get("EVENTS", "*")
    events = set(Event) if wanted == "*" else _events(wanted)
    if events is None:
        return None, [
            Problem(
                "E019",
                f"The channel {name!r} wants the EVENTS {wanted!r}.",
                f"Make it '*' or a list of some of {', '.join(Event)}.",
            )
        ]
    rest = {key: value for key, value in options.items() if key not in {"BACKEND", "EVENTS"}}
    return Channel(name, options["BACKEND"], frozenset(events), rest), []


def _events(wanted: object) -> set[Event] | None:
    if not isinstance(wanted, list | tuple | set | frozenset):
        return None
    try:
        return {Event(each) for each in wanted}
    except ValueError:
        return None
