"""The settings that are not about one workspace, each read by itself."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from importmonitor.channels import Channel, read_channel
from importmonitor.workspaces import Problem

DURATIONS = {
    "STALLED_AFTER": timedelta(minutes=15),
    "WAITING_AFTER": timedelta(hours=1),
    "UNREACHABLE_AFTER": timedelta(minutes=5),
}
#: The states in which an import moves by itself, and so can stall.
ACTIVE = ("loading", "importing")
DAYS: dict[str, int | None] = {"KEEP_DAYS": None, "KEEP_SAMPLES_DAYS": 90}
#: A century: longer is a slip of the keyboard, and soon past what a datetime holds.
MOST_DAYS = 36_525
#: What an answer of the API may be old, over the age of the store itself.
LONGEST_MEMORY = timedelta(seconds=1)
KEYS = frozenset({"CHANNELS", "BASE_URL", "REMEMBER_FOR", *DURATIONS, *DAYS})


@dataclass(frozen=True)
class Options:
    """The settings that are not about one workspace.

    `stalled_after` is by the states in which an import can stall; `keep_days` is None for ever;
    `base_url` is where people reach this site, without a slash at the end, or ""; `remember_for`
    is how long a process remembers who may ask for what, and its answer, at most a second.
    """

    channels: Mapping[str, Channel]
    stalled_after: Mapping[str, timedelta]
    waiting_after: timedelta
    unreachable_after: timedelta
    keep_days: int | None
    keep_samples_days: int | None
    base_url: str
    remember_for: timedelta

    @property
    def late_after(self) -> timedelta:
        """After how long without a look something is wrong with the looking itself.

        An idle workspace is looked at every five minutes, and one look may be late.
        """
        return 2 * self.unreachable_after


def read_options(raw: Mapping[Any, Any]) -> tuple[Options, list[Problem]]:
    """Read these settings; return also every mistake in them: what has one is its default."""
    problems: list[Problem] = []
    durations = {key: _duration(raw, key, problems) for key in DURATIONS if key != "STALLED_AFTER"}
    days = {key: _days(raw, key, problems) for key in DAYS}
    read = Options(
        channels=_channels(raw.get("CHANNELS", {}), problems),
        stalled_after=_stalled_after(raw, problems),
        waiting_after=durations["WAITING_AFTER"],
        unreachable_after=durations["UNREACHABLE_AFTER"],
        keep_days=days["KEEP_DAYS"],
        keep_samples_days=days["KEEP_SAMPLES_DAYS"],
        base_url=_base_url(raw.get("BASE_URL", ""), problems),
        remember_for=_remember_for(raw.get("REMEMBER_FOR", LONGEST_MEMORY), problems),
    )
    if read.channels and not read.base_url and "BASE_URL" not in raw:
        problems.append(
            Problem(
                "W003",
                "Alerts cannot link to the import that they tell of.",
                "Set IMPORTMONITOR['BASE_URL'] to this site's address, like "
                "https://imports.example.org (or to '' for alerts without a link); in the "
                "environment, IMPORTMONITOR_BASE_URL.",
            )
        )
    return read, problems


def _stalled_after(raw: Mapping[Any, Any], problems: list[Problem]) -> dict[str, timedelta]:
    """Read one threshold for all active states, or one for each."""
    value = raw.get("STALLED_AFTER")
    if not isinstance(value, Mapping):
        return dict.fromkeys(ACTIVE, _duration(raw, "STALLED_AFTER", problems))
    for state, after in value.items():
        if state not in ACTIVE or not _is_duration(after):
            problems.append(_bad_duration("STALLED_AFTER", value))
    default = DURATIONS["STALLED_AFTER"]
    return {state: value[state] if _is_duration(value.get(state)) else default for state in ACTIVE}


def _duration(raw: Mapping[Any, Any], key: str, problems: list[Problem]) -> timedelta:
    value = raw.get(key, DURATIONS[key])
    if _is_duration(value):
        assert isinstance(value, timedelta)
        return value
    problems.append(_bad_duration(key, value))
    return DURATIONS[key]


def _is_duration(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def _bad_duration(key: str, value: object) -> Problem:
    each = " (or a dict of them by 'loading' and 'importing')" if key == "STALLED_AFTER" else ""
    return Problem(
        "E016",
        f"IMPORTMONITOR[{key!r}] is {value!r}.",
        f"Make it a timedelta longer than zero{each}; in the environment, "
        f"IMPORTMONITOR_{key} is a number of seconds.",
    )


def _remember_for(value: object, problems: list[Problem]) -> timedelta:
    if isinstance(value, timedelta) and timedelta(0) <= value <= LONGEST_MEMORY:
        return value
    problems.append(
        Problem(
            "E023",
            f"IMPORTMONITOR['REMEMBER_FOR'] is {value!r}.",
            "Make it a timedelta from 0 (remember nothing) to 1 second; in the environment, "
            "IMPORTMONITOR_REMEMBER_FOR is a number of seconds.",
        )
    )
    return timedelta(0)


def _days(raw: Mapping[Any, Any], key: str, problems: list[Problem]) -> int | None:
    value = raw.get(key, DAYS[key])
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_DAYS:
        return value
    problems.append(
        Problem(
            "E018",
            f"IMPORTMONITOR[{key!r}] is {value!r}.",
            f"Make it a whole number of days, 1 to {MOST_DAYS}, or None to keep all.",
        )
    )
    return DAYS[key]


def _channels(value: object, problems: list[Problem]) -> dict[str, Channel]:
    if not isinstance(value, Mapping):
        problems.append(
            Problem(
                "E019",
                f"IMPORTMONITOR['CHANNELS'] is a {type(value).__name__}.",
                "Make it a dict of channels by name, each a dict with a BACKEND.",
            )
        )
        return {}
    channels = {}
    for name, each in value.items():
        found, trouble = read_channel(name, each)
        problems.extend(trouble)
        if found is not None:
            channels[found.name] = found
    return channels


def _base_url(value: object, problems: list[Problem]) -> str:
    if value == "":
        return ""
    if isinstance(value, str) and value.isprintable() and " " not in value:
        with suppress(ValueError):
            parts = urlsplit(value)
            extra = parts.query or parts.fragment or "@" in parts.netloc or parts.port == 0
            if parts.scheme in {"http", "https"} and parts.hostname and not extra:
                return value.rstrip("/")
    problems.append(
        Problem(
            "E021",
            "IMPORTMONITOR['BASE_URL'] cannot be read.",
            "Give the address at which people reach this site, like https://imports.example.org.",
        )
    )
    return ""
