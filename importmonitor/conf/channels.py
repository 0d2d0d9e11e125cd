"""The settings of one alert channel, and every mistake in their shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from importmonitor.choices import Event
from importmonitor.conf.problems import DOTTED_PATH, Problems, describe_name
from importmonitor.secret import hide

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
NAME_MAX_LENGTH = 63
_BACKEND_HINT = "Make it a dict with BACKEND, such as 'importmonitor.alerts.channels.EmailChannel'."


@dataclass(frozen=True)
class ChannelConfig:
    """Where alerts go: the dotted path of a backend, the events it wants, its own options.

    The options can hold passwords and stay out of the `repr`; in them, all text is a Secret.
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
            f"The name of a channel cannot be used: {describe_name(name)}.",
            "Use letters, digits, '-', '_' and '.', at most 63.",
        )
        return None
    backend = options.get("BACKEND") if isinstance(options, Mapping) else None
    if not isinstance(options, Mapping) or not isinstance(backend, str):
        problems.error("E019", f"The channel {name!r} has no BACKEND.", _BACKEND_HINT)
        return None
    names = options.get("EVENTS", "*")
    events = set(Event) if names == "*" else _events(names)
    if events is None:
        problems.error(
            "E019",
            f"The channel {name!r} wants EVENTS that do not exist{_unknown_events(names)}.",
            f"Make it '*' or a list of some of {', '.join(Event)}.",
        )
        return None
    rest = {key: options[key] for key in options if key not in {"BACKEND", "EVENTS"}}
    # Another text can be a URL with a password, in the wrong place.
    path = str(backend) if DOTTED_PATH.fullmatch(backend) else backend
    return ChannelConfig(str(name), path, frozenset(events), hide(rest))


def _unknown_events(names: object) -> str:
    """Return those names that look like one of an event, for the message."""
    if not isinstance(names, list | tuple | set | frozenset):
        return ""
    known = {*Event}
    texts = [str(name) for name in names if isinstance(name, str) and name not in known]
    shown = [text for text in texts if re.fullmatch(r"[a-z]{1,20}[._][a-z]{1,20}", text)]
    return f": {', '.join(shown)}" if shown else ""


def _events(names: object) -> set[Event] | None:
    if not isinstance(names, list | tuple | set | frozenset):
        return None
    try:
        return {Event(name) for name in names}
    except ValueError:
        return None
