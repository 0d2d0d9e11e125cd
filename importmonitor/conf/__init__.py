"""The app's settings: read from `settings.IMPORTMONITOR` on each access, validated, frozen.

Nothing is cached between two accesses, so `override_settings` and a callable `WORKSPACES` work.
What is read is a SecretMapping: no traceback that shows local variables shows a secret.
Every mistake in the settings has an id; `importmonitor.checks` reports them all at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from importmonitor.conf.options import KEYS as OPTION_KEYS
from importmonitor.conf.options import Options, read_options
from importmonitor.conf.problems import (
    DOTTED_PATH,
    Problem,
    Problems,
    describe,
    describe_error,
    describe_name,
)
from importmonitor.conf.workspaces import (
    ALIAS,
    WorkspaceLinks,
    read_groups,
    read_links,
    read_workspace,
)
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.secret import SecretMapping

_kept_options: ContextVar[Options | None] = ContextVar("kept_options", default=None)

KEYS = frozenset({"WORKSPACES", *OPTION_KEYS})
#: An error names as many of the workspaces that are configured.
_MAX_NAMED = 20
_WORKSPACES_HINT = (
    "Make it a dict of workspaces by alias, or the dotted path of a callable returning one."
)


@dataclass(frozen=True)
class Config:
    """The validated settings."""

    workspaces: Mapping[str, WorkspaceConfig]
    options: Options


class UnknownWorkspace(LookupError):
    """No workspace has that alias; `get_workspace` names aliases that are configured."""


class Workspaces(Mapping[str, WorkspaceConfig]):
    """The workspaces as the settings had them at one time, each validated when it is looked up.

    `[alias]` raises UnknownWorkspace, and ImproperlyConfigured for a mistake in that workspace.
    There may be a hundred thousand: only iteration reads them all, and then only their aliases.
    """

    def __init__(self, raw: SecretMapping) -> None:
        self._raw = raw

    def __getitem__(self, alias: str) -> WorkspaceConfig:
        problems = Problems()
        if alias not in self._raw:
            raise UnknownWorkspace(f"There is no workspace {alias!r}.")
        result = read_workspace(alias, self._raw[alias], problems)
        problems.raise_errors()
        assert result is not None
        return result

    def __contains__(self, alias: object) -> bool:
        return alias in self._raw

    def __iter__(self) -> Iterator[str]:
        return (alias for alias in self._raw if isinstance(alias, str))

    def __len__(self) -> int:
        return len(self._raw)

    def get_groups(self, alias: str) -> tuple[str, ...] | None:
        """Return the groups that a workspace is limited to, None if it is not limited.

        Reads nothing else of it. Raises UnknownWorkspace.
        """
        if alias not in self._raw:
            raise UnknownWorkspace(f"There is no workspace {alias!r}.")
        return read_groups(self._raw[alias])


def get_config() -> Config:
    """Return the settings.

    Raises ImproperlyConfigured, naming every mistake, if there is one.
    """
    problems = Problems()
    workspaces = {workspace.alias: workspace for workspace in _read_workspaces(problems)}
    options = read_options(_raw(), problems)
    problems.raise_errors()
    return Config(workspaces, options)


def check() -> None:
    """Raise ImproperlyConfigured, naming every mistake in the settings, if there is one."""
    problems = Problems()
    _read_all(problems)
    problems.raise_errors()


def check_options() -> None:
    """Raise ImproperlyConfigured, naming every mistake in the settings but those in WORKSPACES."""
    problems, raw = Problems(), _raw()
    _check_setting(raw, problems)
    read_options(raw, problems)
    problems.raise_errors()


def read_workspaces() -> Iterator[WorkspaceConfig]:
    """Yield the workspaces without those that have mistakes; keeps none."""
    return _read_workspaces(Problems())


def get_workspaces() -> Workspaces:
    """Return the workspaces; raises ImproperlyConfigured if there is no mapping of them."""
    problems = Problems()
    raw = _raw_workspaces(_raw(), problems)
    problems.raise_errors()
    return Workspaces(raw)


def get_workspace(alias: str) -> WorkspaceConfig:
    """Return the settings of one workspace; raises UnknownWorkspace or ImproperlyConfigured.

    Reads no other workspace: there may be thousands.
    """
    workspaces = get_workspaces()
    if alias not in workspaces:
        known = ", ".join(filter(ALIAS.fullmatch, islice(workspaces, _MAX_NAMED))) or "none"
        more = f" and {len(workspaces) - _MAX_NAMED} more" if len(workspaces) > _MAX_NAMED else ""
        raise UnknownWorkspace(f"There is no workspace {alias!r}. Configured: {known}{more}.")
    return workspaces[alias]


def get_groups(alias: str) -> tuple[str, ...] | None:
    """Return the groups that a workspace is limited to, None if it is not limited.

    Reads no other workspace, and nothing else of this one. Raises UnknownWorkspace.
    """
    return Workspaces(_raw_workspaces(_raw(), Problems())).get_groups(alias)


def get_first_aliases(limit: int) -> list[str]:
    """Return the first aliases of a dict, for pages before the first round of polls.

    None of another mapping: that looks up one workspace at a time, and may take long to list them.
    """
    workspaces = _raw_workspaces(_raw(), Problems())
    if not workspaces.is_dict:
        return []
    return [alias for alias in islice(workspaces, limit) if isinstance(alias, str)]


def find_groups(aliases: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
    """Return the groups of those of these workspaces that are configured; reads no others."""
    workspaces = Workspaces(_raw_workspaces(_raw(), Problems()))
    return {alias: workspaces.get_groups(alias) for alias in aliases if alias in workspaces}


def find_configured(aliases: Iterable[str]) -> set[str]:
    """Return those of these workspaces that are configured; reads no others."""
    raw = _raw_workspaces(_raw(), Problems())
    return {alias for alias in aliases if alias in raw}


def get_links(alias: str) -> WorkspaceLinks:
    """Return the addresses of a workspace that people can open, configured or not.

    Its credentials are not read: a process that only serves pages need not have them.
    """
    return read_links(_raw_workspaces(_raw(), Problems()).get(alias))


def get_options() -> Options:
    """Return the settings that are not about one workspace.

    An invalid one has its default value here. `check()`, which the commands use, raises.
    """
    return _kept_options.get() or read_options(_raw(), Problems())


@contextmanager
def keep_options() -> Iterator[None]:
    """Within this context, and thread, the options stay as they are: a poll asks for them often."""
    token = _kept_options.set(get_options())
    try:
        yield
    finally:
        _kept_options.reset(token)


def find_problems(limit: int | None = None) -> list[Problem]:
    """Return every mistake in the settings.

    With `limit`, of only so many workspaces, the first of a dict: a page has no time for more.
    """
    problems = Problems()
    _read_all(problems, limit)
    return list(problems)


def _read_all(problems: Problems, limit: int | None = None) -> None:
    """Report every mistake, and keep nothing: there may be a hundred thousand workspaces."""
    for _workspace in _read_workspaces(problems, limit):
        pass
    read_options(_raw(), problems)


def _read_workspaces(problems: Problems, limit: int | None = None) -> Iterator[WorkspaceConfig]:
    """Yield the workspaces that can be used; report every mistake but those of options."""
    raw = _raw()
    _check_setting(raw, problems)
    known_problems = len(problems)
    raw_workspaces = _raw_workspaces(raw, problems)
    if limit is not None and not raw_workspaces.is_dict:
        return
    if not raw_workspaces and len(problems) == known_problems:
        problems.warning(
            "W001",
            "No Rocket.Chat workspace is configured.",
            "Fill IMPORTMONITOR['WORKSPACES']; in the project that comes with importmonitor, "
            "set ROCKETCHAT_URL, ROCKETCHAT_USER_ID and ROCKETCHAT_AUTH_TOKEN.",
        )
    for alias in islice(raw_workspaces, limit):
        workspace = read_workspace(alias, raw_workspaces[alias], problems)
        if workspace is not None:
            yield workspace


def _check_setting(raw: SecretMapping, problems: Problems) -> None:
    """Report the mistakes that are neither of a workspace nor of an option."""
    if not isinstance(setting := _setting(), SecretMapping):
        message = f"IMPORTMONITOR is {describe(setting)}."
        problems.error("E001", message, "Make it a dict.")
    for key in raw:
        if key not in KEYS:
            problems.error(
                "E002",
                f"IMPORTMONITOR has an unknown key: {describe_name(key)}.",
                f"Its keys are {', '.join(sorted(KEYS))}.",
            )
    if not settings.USE_TZ:
        problems.error(
            "E022",
            "USE_TZ is off.",
            "Turn it on: times are stored in UTC, and not every database accepts them without it.",
        )


def _setting() -> Any:
    """Return the setting as a SecretMapping, or whatever it is instead, hidden."""
    return SecretMapping({"": getattr(settings, "IMPORTMONITOR", {})})[""]


def _raw() -> SecretMapping:
    setting = _setting()
    return setting if isinstance(setting, SecretMapping) else SecretMapping({})


def _raw_workspaces(raw: SecretMapping, problems: Problems) -> SecretMapping:
    """Return WORKSPACES as a mapping; where it is the path of a callable, call that."""
    value = raw.get("WORKSPACES", SecretMapping({}))
    if isinstance(value, str):
        value = _call(value, problems)
    if not isinstance(value, SecretMapping):
        kind = describe(value)
        problems.error("E003", f"IMPORTMONITOR['WORKSPACES'] is {kind}.", _WORKSPACES_HINT)
        return SecretMapping({})
    return value


def _call(path: str, problems: Problems) -> Any:
    """Return what the callable at a dotted path returns, hidden; report why there is none."""
    problem = ""
    if not DOTTED_PATH.fullmatch(path):
        problem = " is text, and no dotted path"
    else:
        try:
            source: object = import_string(path)
            if callable(source):
                return SecretMapping({"": source()})[""]
            problem = f" names {path}, which is not callable"
        except ImportError as error:
            problem = f" is {path}, which cannot be imported: {error}"
        except Exception as error:  # noqa: BLE001 - a host's own code can raise anything
            # Without its text, which may contain a secret.
            message = f"IMPORTMONITOR['WORKSPACES']: {path} raised {describe_error(error)}."
            problems.missing("E003", message, _WORKSPACES_HINT)
            return SecretMapping({})
    problems.error("E003", f"IMPORTMONITOR['WORKSPACES']{problem}.", _WORKSPACES_HINT)
    return SecretMapping({})
