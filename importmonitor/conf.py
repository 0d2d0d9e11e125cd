"""The app's settings: read from `settings.IMPORTMONITOR` on each access, validated, frozen.

Nothing is remembered between two accesses, so `override_settings` and a callable `WORKSPACES`
work. Every mistake that can be made here has an id; `checks.py` shows them all at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from importmonitor.workspaces import Problem, Workspace, read_workspace

UNREACHABLE_AFTER = timedelta(minutes=5)

#: Part of the published settings, without an effect in this version.
RESERVED = frozenset(
    {"STALLED_AFTER", "WAITING_AFTER", "CHANNELS", "KEEP_DAYS", "KEEP_SAMPLES_DAYS"}
)
KEYS = frozenset({"WORKSPACES", "UNREACHABLE_AFTER"}) | RESERVED


@dataclass(frozen=True)
class Config:
    """The validated settings."""

    workspaces: Mapping[str, Workspace]
    unreachable_after: timedelta = UNREACHABLE_AFTER


class UnknownWorkspace(LookupError):
    """No workspace of that alias is configured; the text names those that are."""


def config() -> Config:
    """Return the settings.

    Raises ImproperlyConfigured, naming every mistake, if there is one.
    """
    found, problems = inspect()
    errors = [problem for problem in problems if problem.is_error]
    if errors:
        raise ImproperlyConfigured("\n".join(str(error) for error in errors))
    return found


def workspace(alias: str) -> Workspace:
    """Return one workspace; raises UnknownWorkspace or, like `config`, ImproperlyConfigured."""
    workspaces = config().workspaces
    if alias not in workspaces:
        known = ", ".join(workspaces) or "none"
        raise UnknownWorkspace(f"There is no workspace {alias!r}. Configured: {known}.")
    return workspaces[alias]


def aliases() -> list[str]:
    """Return the aliases of the configured workspaces, in their order, however ill configured.

    The faces ask this: what was stored can be read while a token is wrong.
    """
    raw, _ = _raw_workspaces(_raw())
    return [alias for alias in raw if isinstance(alias, str)]


def unreachable_after() -> timedelta:
    """Return how long a workspace may be out of reach before that is worth telling."""
    value = _raw().get("UNREACHABLE_AFTER")
    if isinstance(value, timedelta) and value > timedelta(0):
        return value
    return UNREACHABLE_AFTER


def inspect() -> tuple[Config, list[Problem]]:
    """Return what could be read of the settings, and every mistake in them."""
    problems: list[Problem] = []
    raw = _raw()
    if not isinstance(_setting(), Mapping):
        kind = type(_setting()).__name__
        problems.append(Problem("E001", f"IMPORTMONITOR is a {kind}.", "Make it a dict."))
    for key in raw:
        if key in RESERVED:
            problems.append(
                Problem(
                    "W002",
                    f"IMPORTMONITOR[{key!r}] has no effect in this version.",
                    "Leave it for a later one, or take it out.",
                )
            )
        elif key not in KEYS:
            problems.append(
                Problem(
                    "E002",
                    f"IMPORTMONITOR has an unknown key {key!r}.",
                    f"Its keys are {', '.join(sorted(KEYS))}.",
                )
            )
    raw_workspaces, trouble = _raw_workspaces(raw)
    problems.extend(trouble)
    if not raw_workspaces and not trouble:
        problems.append(
            Problem(
                "W001",
                "No Rocket.Chat workspace is configured.",
                "Fill IMPORTMONITOR['WORKSPACES']; in the project that comes with importmonitor, "
                "set ROCKETCHAT_URL, ROCKETCHAT_USER_ID and ROCKETCHAT_AUTH_TOKEN.",
            )
        )
    workspaces = {}
    for alias, options in raw_workspaces.items():
        found, trouble = read_workspace(alias, options)
        problems.extend(trouble)
        if found is not None:
            workspaces[found.alias] = found
    if raw.get("UNREACHABLE_AFTER", UNREACHABLE_AFTER) != unreachable_after():
        problems.append(
            Problem(
                "E016",
                f"IMPORTMONITOR['UNREACHABLE_AFTER'] is {raw['UNREACHABLE_AFTER']!r}.",
                "Make it a timedelta longer than zero; in the environment, "
                "IMPORTMONITOR_UNREACHABLE_AFTER is a number of seconds.",
            )
        )
    return Config(workspaces, unreachable_after()), problems


def _setting() -> object:
    return getattr(settings, "IMPORTMONITOR", {})


def _raw() -> Mapping[Any, Any]:
    setting = _setting()
    return setting if isinstance(setting, Mapping) else {}


def _raw_workspaces(raw: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], list[Problem]]:
    """Return WORKSPACES as a mapping, calling it first where it is the path of a callable."""
    value = raw.get("WORKSPACES", {})
    hint = "Make it a dict of workspaces by alias, or the dotted path of a callable returning one."
    if isinstance(value, str):
        try:
            source: object = import_string(value)
        except ImportError as error:
            return {}, [
                Problem("E003", f"IMPORTMONITOR['WORKSPACES'] cannot be imported: {error}.", hint)
            ]
        if not callable(source):
            return {}, [
                Problem("E003", f"IMPORTMONITOR['WORKSPACES'] names {value}, no callable.", hint)
            ]
        try:
            value = source()
        except Exception as error:  # noqa: BLE001 - a host's own code can raise anything
            trouble = f"{type(error).__name__}: {error}"
            return {}, [Problem("E003", f"IMPORTMONITOR['WORKSPACES']: {value}: {trouble}.", hint)]
    if not isinstance(value, Mapping):
        return {}, [
            Problem("E003", f"IMPORTMONITOR['WORKSPACES'] is a {type(value).__name__}.", hint)
        ]
    return value, []
