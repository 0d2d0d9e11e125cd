"""The app's settings: read from `settings.IMPORTMONITOR` on each access, validated, frozen.

Nothing is remembered between two accesses, so `override_settings` and a callable `WORKSPACES`
work. Every mistake that can be made here has an id; `checks.py` shows them all at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from importmonitor.options import KEYS as OPTION_KEYS
from importmonitor.options import Options, read_options
from importmonitor.workspaces import Problem, Workspace, read_workspace

KEYS = frozenset({"WORKSPACES", *OPTION_KEYS})


@dataclass(frozen=True)
class Config:
    """The validated settings."""

    workspaces: Mapping[str, Workspace]
    options: Options


class UnknownWorkspace(LookupError):
    """No workspace of that alias is configured; the text names those that are."""


def config() -> Config:
    """Return the settings.

    Raises ImproperlyConfigured, naming every mistake, if there is one.
    """
    found, problems = inspect()
    _refuse(problems)
    return found


def workspace(alias: str) -> Workspace:
    """Return one workspace; raises UnknownWorkspace or ImproperlyConfigured.

    Reads no other, of which there may be thousands.
    """
    raw, problems = _raw_workspaces(_raw())
    _refuse(problems)
    if alias not in raw:
        known = ", ".join(map(str, raw)) or "none"
        raise UnknownWorkspace(f"There is no workspace {alias!r}. Configured: {known}.")
    found, problems = read_workspace(alias, raw[alias])
    _refuse(problems)
    assert found is not None
    return found


def aliases() -> list[str]:
    """Return the aliases of the configured workspaces, in their order, however ill configured.

    The faces ask this: what was stored can be read while a token is wrong.
    """
    raw, _ = _raw_workspaces(_raw())
    return [alias for alias in raw if isinstance(alias, str)]


def options() -> Options:
    """Return the settings that are not about one workspace.

    What cannot be read is its default: it is an error of `config()`, which the commands ask.
    """
    return read_options(_raw())[0]


def inspect() -> tuple[Config, list[Problem]]:
    """Return what could be read of the settings, and every mistake in them."""
    raw = _raw()
    problems: list[Problem] = []
    if not isinstance(_setting(), Mapping):
        kind = type(_setting()).__name__
        problems.append(Problem("E001", f"IMPORTMONITOR is a {kind}.", "Make it a dict."))
    problems.extend(
        Problem(
            "E002",
            f"IMPORTMONITOR has an unknown key {key!r}.",
            f"Its keys are {', '.join(sorted(KEYS))}.",
        )
        for key in raw
        if key not in KEYS
    )
    if not settings.USE_TZ:
        problems.append(
            Problem(
                "E022",
                "USE_TZ is off.",
                "Turn it on: what is stored are times in UTC, and not every database takes them "
                "without it.",
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
    for alias, each in raw_workspaces.items():
        found, trouble = read_workspace(alias, each)
        problems.extend(trouble)
        if found is not None:
            workspaces[found.alias] = found
    read, trouble = read_options(raw)
    problems.extend(trouble)
    return Config(workspaces, read), problems


def _refuse(problems: list[Problem]) -> None:
    errors = [problem for problem in problems if problem.is_error]
    if errors:
        raise ImproperlyConfigured("\n".join(str(error) for error in errors))


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
