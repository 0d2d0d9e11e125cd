"""The settings of one alert channel, and every mistake in their shape."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from importmonitor.choices import OUTCOMES, DigestPeriod, Event, Severity, severity
from importmonitor.conf.problems import DOTTED_PATH, Problems, describe, describe_name, is_list_of
from importmonitor.secret import hide

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
NAME_MAX_LENGTH = 63
#: The patterns of a channel that is about all workspaces.
EVERY_WORKSPACE = ("*",)
#: The options of every channel; all others are those of its backend.
KEYS = ("BACKEND", "DIGEST", "EVENTS", "OUTCOMES", "REMIND_EVERY", "SEVERITY", "WORKSPACES")
#: More often than once an hour is a loop, not a reminder.
MIN_REMIND_EVERY = timedelta(hours=1)
#: Longer ones lead to times that no database can store.
MAX_REMIND_EVERY = timedelta(days=366)

_BACKEND_HINT = "Make it a dict with BACKEND, such as 'importmonitor.alerts.channels.EmailChannel'."
_PATTERN = re.compile(r"[a-z0-9_*?\[\]!-]{1,100}")
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True)
class ChannelConfig:
    """Where alerts go: the dotted path of a backend, which alerts it wants, its own options.

    `outcomes` is None for alerts of all outcomes and of none; `severity` is the lowest that it
    wants; an incident that is still open is repeated after `remind_every`, if that is not None;
    `digest` is how often it gets a summary.
    The options can hold passwords and stay out of the `repr`; in them, all text is a Secret.
    """

    name: str
    backend: str
    events: frozenset[Event]
    options: Mapping[str, Any] = field(repr=False)
    workspaces: tuple[str, ...] = EVERY_WORKSPACE
    outcomes: frozenset[str] | None = None
    severity: Severity = Severity.INFO
    remind_every: timedelta | None = None
    digest: DigestPeriod | None = None

    def covers(self, workspace: str) -> bool:
        """Return whether a workspace is one of those that this channel is about."""
        return any(fnmatchcase(workspace, pattern) for pattern in self.workspaces)

    def wants(self, event: str, workspace: str, outcome: str | None) -> bool:
        """Return whether alerts about an event of a workspace go to this channel.

        `outcome` is how the import ended, None where that is not what the event says.
        """
        return (
            event in self.events
            and (self.outcomes is None or outcome in self.outcomes)
            and self.covers(workspace)
            and _SEVERITIES.index(severity(event, outcome)) <= _SEVERITIES.index(self.severity)
        )


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
            f"The channel {name!r} wants EVENTS that do not exist{_unknown(names, {*Event})}.",
            f"Make it '*' or a list of some of {', '.join(Event)}.",
        )
        return None
    known_problems = len(problems)
    filters: dict[str, Any] = {
        "workspaces": _read_patterns(name, options.get("WORKSPACES", "*"), problems),
        "outcomes": _read_outcomes(name, options.get("OUTCOMES", "*"), problems),
        "severity": _read_severity(name, options.get("SEVERITY", Severity.INFO), problems),
        "remind_every": _read_remind_every(name, options.get("REMIND_EVERY"), problems),
        "digest": _read_digest(name, options.get("DIGEST"), problems),
    }
    if len(problems) > known_problems:
        return None
    rest = {key: options[key] for key in options if key not in KEYS}
    # Another text can be a URL with a password, in the wrong place.
    path = str(backend) if DOTTED_PATH.fullmatch(backend) else backend
    return ChannelConfig(str(name), path, frozenset(events), hide(rest), **filters)


def _read_patterns(name: str, value: object, problems: Problems) -> tuple[str, ...]:
    patterns = [value] if value == "*" else value
    if isinstance(patterns, list | tuple) and patterns:
        texts = [str(text) for text in patterns if isinstance(text, str)]
        if len(texts) == len(patterns) and all(map(_PATTERN.fullmatch, texts)):
            return tuple(texts)
    problems.error(
        "E019",
        f"The WORKSPACES of the channel {name!r} cannot be used.",
        "Make it '*' or a list of aliases and patterns, such as ['acme', 'eu-*'].",
    )
    return ()


def _read_outcomes(name: str, value: Any, problems: Problems) -> frozenset[str] | None:
    if value == "*":
        return None
    if is_list_of(value, OUTCOMES):
        return frozenset(map(str, value))
    problems.error(
        "E019",
        f"The channel {name!r} wants OUTCOMES that do not exist{_unknown(value, OUTCOMES)}.",
        f"Make it '*' or a list of some of {', '.join(sorted(OUTCOMES))}.",
    )
    return None


def _read_severity(name: str, value: object, problems: Problems) -> Severity:
    if isinstance(value, str) and value in _SEVERITIES:
        return Severity(value)
    problems.error(
        "E019",
        f"The channel {name!r} has a SEVERITY that does not exist.",
        f"Make it the lowest that the channel wants: one of {', '.join(Severity)}.",
    )
    return Severity.INFO


def _read_remind_every(name: str, value: object, problems: Problems) -> timedelta | None:
    if value is None:
        return None
    if isinstance(value, timedelta) and MIN_REMIND_EVERY <= value <= MAX_REMIND_EVERY:
        return value
    problems.error(
        "E019",
        f"The REMIND_EVERY of the channel {name!r} is {describe(value)}.",
        "Make it a timedelta of an hour to a year, or None for no reminders.",
    )
    return None


def _read_digest(name: str, value: object, problems: Problems) -> DigestPeriod | None:
    if value is None:
        return None
    if isinstance(value, str) and value in tuple(DigestPeriod):
        return DigestPeriod(value)
    problems.error(
        "E019",
        f"The channel {name!r} has a DIGEST that does not exist.",
        f"Make it one of {', '.join(DigestPeriod)}, or None for no digest.",
    )
    return None


def _unknown(names: object, known: Collection[str]) -> str:
    """Return the names that are not known and look like one of ours, for the message."""
    if not isinstance(names, list | tuple | set | frozenset):
        return ""
    texts = [str(name) for name in names if isinstance(name, str) and name not in known]
    shown = [text for text in texts if re.fullmatch(r"[a-z]{1,20}([._][a-z]{1,20}){0,3}", text)]
    return f": {', '.join(shown)}" if shown else ""


def _events(names: object) -> set[Event] | None:
    if not isinstance(names, list | tuple | set | frozenset):
        return None
    try:
        return {Event(name) for name in names}
    except ValueError:
        return None
