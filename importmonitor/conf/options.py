"""The settings that are not about one workspace, and every mistake in them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from importmonitor.conf.channels import ChannelConfig, read_channel
from importmonitor.conf.metrics import METRICS_LIMIT, read_metrics_limit, read_metrics_workspaces
from importmonitor.conf.problems import Problems, describe, is_list_of
from importmonitor.rocketchat.counters import PENDING, stride
from importmonitor.rocketchat.operation import IMPORTERS
from importmonitor.rocketchat.states import (
    ACTIVE_STATES,
    RESTING_STEPS,
    STEPS,
    ImportState,
    state_of,
)
from importmonitor.secret import Secret

DURATIONS = {
    "STALLED_AFTER": timedelta(minutes=15),
    "WAITING_AFTER": timedelta(hours=1),
    "UNREACHABLE_AFTER": timedelta(minutes=5),
}
DAYS: dict[str, int | None] = {"KEEP_DAYS": None, "KEEP_SAMPLES_DAYS": 90}
#: A century: longer is a typing error, and soon past what a datetime holds.
MAX_DAYS = 36_525
SWITCHES = {"PUBLIC_SCHEMA": False, "USER_NAMES": True}
#: How old a cached API response may be, on top of the age of the stored data.
MAX_REMEMBER_FOR = timedelta(seconds=1)
#: The outcomes that can be incidents; failed and interrupted imports always are.
INCIDENT_OUTCOMES = frozenset({"done_with_errors", "incomplete"})
KEYS = frozenset(
    {
        *("CHANNELS", "BASE_URL", "HEARTBEAT_URL", "REMEMBER_FOR", "INCIDENT_OUTCOMES"),
        *("METRICS_LIMIT", "METRICS_WORKSPACES"),
        *SWITCHES,
        *DURATIONS,
        *DAYS,
    }
)


#: Of STALLED_AFTER, by the number of records after which Rocket.Chat writes the counters. Slow
#: downloads of pending files and avatars were seen to take three hours between two writes.
_STALL_FACTORS = {50: 2, 500: 4}
_PENDING_STALL_FACTOR = 24
#: A step whose rate is known has stalled after this many times the usual time between two writes.
_STALL_WRITES = 4


@dataclass(frozen=True)
class StallThresholds:
    """After how long without progress an import is stalled.

    `exact` has thresholds for states, steps and importers, the default is derived from `base`:
    Rocket.Chat writes the counters only after every 50th or 500th record, so that an import at
    work can show no progress for long.
    """

    base: timedelta
    exact: Mapping[str, timedelta] = field(default_factory=dict)

    @property
    def shortest(self) -> timedelta:
        return min([self.base, *self.exact.values()])

    def threshold(self, importer_key: str, status: str, rate: float | None) -> timedelta | None:
        """Return the threshold for an import, None where nothing runs.

        `rate` is how many records it handles per second, None if that is unknown.
        """
        state = state_of(status, None)
        if state not in ACTIVE_STATES or status in RESTING_STEPS:
            return None
        for key in (importer_key, status, state.value):
            if key in self.exact:
                return self.exact[key]
        if importer_key in PENDING:
            return self.base * _PENDING_STALL_FACTOR
        if state == ImportState.LOADING:
            return self.base
        records = stride(importer_key, status)
        longest = self.base * _STALL_FACTORS.get(records, 1)
        if not rate or records / rate * _STALL_WRITES >= longest.total_seconds():
            return longest
        return max(self.base, timedelta(seconds=records / rate * _STALL_WRITES))


@dataclass(frozen=True)
class Options:
    """The settings that are not about one workspace.

    `keep_days` is None to keep everything; `base_url` is this site's address without a trailing
    slash, or ""; `heartbeat_url` is the secret address of a dead-man's switch, or "";
    `incident_outcomes` are those that ask for a person besides failed and interrupted imports;
    `remember_for` is how long a process caches a response of Rocket.Chat's endpoints;
    `public_schema` opens the API's description to everyone; `user_names` is whether Rocket.Chat is
    asked for the names of the users who started imports; `metrics_limit` is how many workspaces
    have metrics of their own, and `metrics_workspaces` which of them come first: aliases, and
    beginnings of aliases with "*".
    """

    channels: Mapping[str, ChannelConfig]
    stalled_after: StallThresholds
    waiting_after: timedelta
    unreachable_after: timedelta
    keep_days: int | None
    keep_samples_days: int | None
    base_url: str
    incident_outcomes: frozenset[str]
    heartbeat_url: str
    remember_for: timedelta
    public_schema: bool
    user_names: bool
    metrics_limit: int
    metrics_workspaces: tuple[str, ...]

    @property
    def late_after(self) -> timedelta:
        """How long after the last poll something is wrong with the polling itself.

        An idle workspace is polled every five minutes, and one poll may be late.
        """
        return 2 * self.unreachable_after


def read_options(raw: Mapping[Any, Any], problems: Problems) -> Options:
    """Read these settings and report their mistakes; an invalid one gets its default value."""
    options = Options(
        channels=_read_channels(raw.get("CHANNELS", {}), problems),
        stalled_after=_read_stalled_after(raw, problems),
        waiting_after=_read_duration(raw, "WAITING_AFTER", problems),
        unreachable_after=_read_duration(raw, "UNREACHABLE_AFTER", problems),
        keep_days=_read_days(raw, "KEEP_DAYS", problems),
        keep_samples_days=_read_days(raw, "KEEP_SAMPLES_DAYS", problems),
        base_url=_read_base_url(raw.get("BASE_URL", ""), problems),
        incident_outcomes=_read_incident_outcomes(raw.get("INCIDENT_OUTCOMES", ()), problems),
        heartbeat_url=_read_heartbeat_url(raw.get("HEARTBEAT_URL", ""), problems),
        remember_for=_read_remember_for(raw.get("REMEMBER_FOR", MAX_REMEMBER_FOR), problems),
        public_schema=_read_public_schema(raw, problems),
        user_names=_read_user_names(raw, problems),
        metrics_limit=read_metrics_limit(raw.get("METRICS_LIMIT", METRICS_LIMIT), problems),
        metrics_workspaces=read_metrics_workspaces(raw.get("METRICS_WORKSPACES", ()), problems),
    )
    if options.channels and not options.base_url and "BASE_URL" not in raw:
        problems.warning(
            "W003",
            "Alerts cannot link to their import.",
            "Set IMPORTMONITOR['BASE_URL'] to this site's address, like "
            "https://imports.example.org (or to '' for alerts without a link); in the "
            "environment, IMPORTMONITOR_BASE_URL.",
        )
    return options


def _read_stalled_after(raw: Mapping[Any, Any], problems: Problems) -> StallThresholds:
    """Read one threshold for all imports, or one for each of some states, steps or importers."""
    value = raw.get("STALLED_AFTER")
    if not isinstance(value, Mapping):
        return StallThresholds(_read_duration(raw, "STALLED_AFTER", problems))
    known = {*ACTIVE_STATES, *STEPS, *IMPORTERS}
    exact = {
        key: threshold
        for key, threshold in value.items()
        if key in known and _is_duration(threshold)
    }
    if len(exact) < len(value):
        _report_duration("STALLED_AFTER", value, problems)
    return StallThresholds(DURATIONS["STALLED_AFTER"], exact)


def _read_duration(raw: Mapping[Any, Any], key: str, problems: Problems) -> timedelta:
    value = raw.get(key, DURATIONS[key])
    if _is_duration(value):
        assert isinstance(value, timedelta)
        return value
    _report_duration(key, value, problems)
    return DURATIONS[key]


def _is_duration(value: object) -> bool:
    # Sums of longer ones exceed what a datetime can hold.
    return isinstance(value, timedelta) and timedelta(0) < value <= timedelta(days=MAX_DAYS)


def _report_duration(key: str, value: object, problems: Problems) -> None:
    by_state = (
        " (or a dict of them by 'loading', 'importing', a status or an importer's key)"
        if key == "STALLED_AFTER"
        else ""
    )
    problems.error(
        "E016",
        f"IMPORTMONITOR[{key!r}] is {describe(value)}.",
        f"Make it a timedelta longer than zero, a century at most{by_state}; in the environment, "
        f"IMPORTMONITOR_{key} is a number of seconds.",
    )


def _read_remember_for(value: object, problems: Problems) -> timedelta:
    if isinstance(value, timedelta) and timedelta(0) <= value <= MAX_REMEMBER_FOR:
        return value
    problems.error(
        "E023",
        f"IMPORTMONITOR['REMEMBER_FOR'] is {describe(value)}.",
        "Make it a timedelta from 0 (no caching) to 1 second; in the environment, "
        "IMPORTMONITOR_REMEMBER_FOR is a number of seconds.",
    )
    return timedelta(0)


def _read_incident_outcomes(value: Any, problems: Problems) -> frozenset[str]:
    if is_list_of(value, INCIDENT_OUTCOMES):
        return frozenset(map(str, value))
    problems.error(
        "E030",
        f"IMPORTMONITOR['INCIDENT_OUTCOMES'] is {describe(value)}.",
        f"Make it a list of some of {', '.join(sorted(INCIDENT_OUTCOMES))}; in the environment, "
        "IMPORTMONITOR_INCIDENT_OUTCOMES separates them by commas.",
    )
    return frozenset()


def _read_public_schema(raw: Mapping[Any, Any], problems: Problems) -> bool:
    meaning = "to show the API's schema and its page to everyone"
    return _read_switch(raw, "PUBLIC_SCHEMA", "E025", meaning, problems)


def _read_user_names(raw: Mapping[Any, Any], problems: Problems) -> bool:
    meaning = "to request the names of the users who started imports"
    return _read_switch(raw, "USER_NAMES", "E029", meaning, problems)


def _read_switch(
    raw: Mapping[Any, Any], key: str, problem_id: str, meaning: str, problems: Problems
) -> bool:
    value = raw.get(key, SWITCHES[key])
    if isinstance(value, bool):
        return value
    problems.error(
        problem_id,
        f"IMPORTMONITOR[{key!r}] is {describe(value)}.",
        f"Make it True, {meaning}, or False; in the environment, IMPORTMONITOR_{key} is on or off.",
    )
    return SWITCHES[key]


def _read_days(raw: Mapping[Any, Any], key: str, problems: Problems) -> int | None:
    value = raw.get(key, DAYS[key])
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_DAYS:
        return value
    problems.error(
        "E018",
        f"IMPORTMONITOR[{key!r}] is {describe(value)}.",
        f"Make it a whole number of days, 1 to {MAX_DAYS}, or None to keep everything.",
    )
    return DAYS[key]


def _read_channels(value: object, problems: Problems) -> dict[str, ChannelConfig]:
    if not isinstance(value, Mapping):
        problems.error(
            "E019",
            f"IMPORTMONITOR['CHANNELS'] is {describe(value)}.",
            "Make it a dict of channels by name, each a dict with a BACKEND.",
        )
        return {}
    channels = [read_channel(name, options, problems) for name, options in value.items()]
    return {channel.name: channel for channel in channels if channel is not None}


def _read_base_url(value: object, problems: Problems) -> str:
    if value == "":
        return ""
    if isinstance(value, str) and _is_address(value) and not urlsplit(value).query:
        return str(value).rstrip("/")
    problems.error(
        "E021",
        "IMPORTMONITOR['BASE_URL'] cannot be read.",
        "Give the address at which people reach this site, like https://imports.example.org.",
    )
    return ""


def _read_heartbeat_url(value: object, problems: Problems) -> Secret:
    if isinstance(value, str) and (value == "" or (value.isascii() and _is_address(value))):
        return Secret(value)
    problems.error(
        "E028",
        "IMPORTMONITOR['HEARTBEAT_URL'] cannot be read.",
        "Give the address that a dead-man's switch expects pings at, like "
        "https://hc-ping.com/your-uuid, without a user name and password; or '' for none.",
    )
    return Secret("")


def _is_address(value: str) -> bool:
    """Return whether a text is an http(s) URL without credentials and without a fragment."""
    if not value.isprintable() or " " in value:
        return False
    with suppress(ValueError):
        parts = urlsplit(value)
        is_plain = not parts.fragment and "@" not in parts.netloc and parts.port != 0
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_plain
    return False
