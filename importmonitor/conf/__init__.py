"""The app's settings: read from `settings.IMPORTMONITOR` on each access, validated, frozen.

Nothing is cached between two accesses, so `override_settings` and a callable `WORKSPACES` work.
Every mistake in the settings has an id; `importmonitor.checks` reports them all at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from importmonitor.conf.options import KEYS as OPTION_KEYS
from importmonitor.conf.options import Options, read_options
from importmonitor.conf.problems import Problem, Problems
from importmonitor.conf.workspaces import read_workspace
from importmonitor.rocketchat.config import WorkspaceConfig

KEYS = frozenset({"WORKSPACES", *OPTION_KEYS})


@dataclass(frozen=True)
class Config:
    """The validated settings."""

    workspaces: Mapping[str, WorkspaceConfig]
    options: Options


class UnknownWorkspace(LookupError):
    """No workspace has that alias; the message names the aliases that are configured."""


def get_config() -> Config:
    """Return the settings.

    Raises ImproperlyConfigured, naming every mistake, if there is one.
    """
    problems = Problems()
    result = _read_config(problems)
    problems.raise_errors()
    return result


def get_workspace(alias: str) -> WorkspaceConfig:
    """Return the settings of one workspace; raises UnknownWorkspace or ImproperlyConfigured.

    Reads no other workspace: there may be thousands.
    """
    problems = Problems()
    raw = _raw_workspaces(_raw(), problems)
    problems.raise_errors()
    if alias not in raw:
        known = ", ".join(map(str, raw)) or "none"
        raise UnknownWorkspace(f"There is no workspace {alias!r}. Configured: {known}.")
    result = read_workspace(alias, raw[alias], problems)
    problems.raise_errors()
    assert result is not None
    return result


def get_aliases() -> list[str]:
    """Return the aliases of the configured workspaces in their order, valid or not.

    What is stored stays readable while a token is wrong.
    """
    raw = _raw_workspaces(_raw(), Problems())
    return [alias for alias in raw if isinstance(alias, str)]


def get_options() -> Options:
    """Return the settings that are not about one workspace.

    An invalid one has its default value here. `get_config()`, which the commands use, raises.
    """
    return read_options(_raw(), Problems())


def find_problems() -> list[Problem]:
    """Return every mistake in the settings."""
    problems = Problems()
    _read_config(problems)
    return list(problems)


def _read_config(problems: Problems) -> Config:
    raw = _raw()
    if not isinstance(_setting(), Mapping):
        kind = type(_setting()).__name__
        problems.error("E001", f"IMPORTMONITOR is a {kind}.", "Make it a dict.")
    for key in raw:
        if key not in KEYS:
            problems.error(
                "E002",
                f"IMPORTMONITOR has an unknown key {key!r}.",
                f"Its keys are {', '.join(sorted(KEYS))}.",
            )
    if not settings.USE_TZ:
        problems.error(
            "E022",
            "USE_TZ is off.",
            "Turn it on: times are stored in UTC, and not every database accepts them without it.",
        )
    known_problems = len(problems)
    raw_workspaces = _raw_workspaces(raw, problems)
    if not raw_workspaces and len(problems) == known_problems:
        problems.warning(
            "W001",
            "No Rocket.Chat workspace is configured.",
            "Fill IMPORTMONITOR['WORKSPACES']; in the project that comes with importmonitor, "
            "set ROCKETCHAT_URL, ROCKETCHAT_USER_ID and ROCKETCHAT_AUTH_TOKEN.",
        )
    workspaces = [
        read_workspace(alias, raw_options, problems)
        for alias, raw_options in raw_workspaces.items()
    ]
    return Config(
        {workspace.alias: workspace for workspace in workspaces if workspace is not None},
        read_options(raw, problems),
    )


def _setting() -> object:
    return getattr(settings, "IMPORTMONITOR", {})


def _raw() -> Mapping[Any, Any]:
    setting = _setting()
    return setting if isinstance(setting, Mapping) else {}


def _raw_workspaces(raw: Mapping[Any, Any], problems: Problems) -> Mapping[Any, Any]:
    """Return WORKSPACES as a mapping; where it is the path of a callable, call that."""
    value = raw.get("WORKSPACES", {})
    hint = "Make it a dict of workspaces by alias, or the dotted path of a callable returning one."
    if isinstance(value, str):
        try:
            source: object = import_string(value)
        except ImportError as error:
            message = f"IMPORTMONITOR['WORKSPACES'] cannot be imported: {error}."
            problems.error("E003", message, hint)
            return {}
        if not callable(source):
            message = f"IMPORTMONITOR['WORKSPACES'] names {value}, which is not callable."
            problems.error("E003", message, hint)
            return {}
        try:
            value = source()
        except Exception as error:  # noqa: BLE001 - a host's own code can raise anything
            reason = f"{type(error).__name__}: {error}"
            problems.error("E003", f"IMPORTMONITOR['WORKSPACES']: {value}: {reason}.", hint)
            return {}
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        problems.error("E003", f"IMPORTMONITOR['WORKSPACES'] is a {kind}.", hint)
        return {}
    return value
