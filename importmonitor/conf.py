"""The app's settings: read from `settings.IMPORTMONITOR` on each access, validated, frozen.

Nothing is remembered between two accesses, so `override_settings` and a callable `WORKSPACES`
work. Every mistake that can be made here has an id; `checks.py` shows them all at once.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

UNREACHABLE_AFTER = timedelta(minutes=5)

#: Part of the published settings, without an effect in this version.
RESERVED = frozenset(
    {"STALLED_AFTER", "WAITING_AFTER", "CHANNELS", "KEEP_DAYS", "KEEP_SAMPLES_DAYS"}
)
KEYS = frozenset({"WORKSPACES", "UNREACHABLE_AFTER"}) | RESERVED
WORKSPACE_KEYS = frozenset(
    {"URL", "USER_ID", "AUTH_TOKEN", "CA_BUNDLE", "TIMEOUT", "DEADLINE", "ALLOW_HTTP"}
)

ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ALIAS_MAX_LENGTH = 63

# What an HTTP header takes without quoting, folding or a surprise (RFC 9110, 5.5: VCHAR).
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Workspace:
    """A Rocket.Chat installation and the credentials to look at it.

    `url` has no trailing slash; `timeout` (for connecting, and between two bytes) and `deadline`
    (for the whole call) are in seconds. The credentials stay out of its `repr`, and so out of
    tracebacks that show local variables.
    """

    alias: str
    url: str
    user_id: str = field(repr=False)
    auth_token: str = field(repr=False)
    ca_bundle: str | None = None
    timeout: float = 10.0
    deadline: float = 30.0
    allow_http: bool = False


@dataclass(frozen=True)
class Config:
    """The validated settings."""

    workspaces: Mapping[str, Workspace]
    unreachable_after: timedelta = UNREACHABLE_AFTER


@dataclass(frozen=True)
class Problem:
    """A mistake in the settings: `id` without the app's label, what is wrong, what to do."""

    id: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message} {self.hint} (importmonitor.{self.id})"

    @property
    def is_error(self) -> bool:
        return self.id.startswith("E")


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
                    f"Its keys are {_names(KEYS)}.",
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
        found, trouble = _workspace(alias, options)
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


def _workspace(alias: object, options: object) -> tuple[Workspace | None, list[Problem]]:
    """Return a workspace, or None and what is wrong with it."""
    if not isinstance(alias, str) or not ALIAS.fullmatch(alias):
        return None, [
            Problem(
                "E004",
                f"The workspace alias {alias!r} cannot be used.",
                "Use lower-case letters, digits, '-' and '_', at most 63, with a letter or digit "
                "first: it becomes part of URLs.",
            )
        ]
    if not isinstance(options, Mapping):
        return None, [
            Problem(
                "E005",
                f"The workspace {alias!r} is a {type(options).__name__}.",
                "Make it a dict with URL, USER_ID and AUTH_TOKEN.",
            )
        ]
    problems = [
        Problem(
            "E006",
            f"The workspace {alias!r} has an unknown key {key!r}.",
            f"Its keys are {_names(WORKSPACE_KEYS)}.",
        )
        for key in options
        if key not in WORKSPACE_KEYS
    ]
    allow_http = options.get("ALLOW_HTTP", False)
    if not isinstance(allow_http, bool):
        problems.append(
            Problem("E015", _is(alias, "ALLOW_HTTP", allow_http), "Make it True or False.")
        )
    url = options.get("URL")
    problems.extend(_url_problems(alias, url, allow_http=allow_http is True))
    for key, missing in (("USER_ID", "E010"), ("AUTH_TOKEN", "E011")):
        problems.extend(_credential_problems(alias, key, options.get(key), missing))
    ca_bundle = options.get("CA_BUNDLE")
    if ca_bundle is not None and not (
        isinstance(ca_bundle, str | Path) and Path(ca_bundle).exists()
    ):
        problems.append(
            Problem(
                "E013",
                f"{_is(alias, 'CA_BUNDLE', ca_bundle)} No such file can be read.",
                "Give the path of a file of CA certificates in PEM form, or leave it out.",
            )
        )
    seconds = {"TIMEOUT": options.get("TIMEOUT", 10), "DEADLINE": options.get("DEADLINE", 30)}
    for key, value in seconds.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 3600:
            problems.append(
                Problem(
                    "E014",
                    _is(alias, key, value),
                    "Make it a number of seconds, more than 0 and at most 3600.",
                )
            )
    if problems:
        return None, problems
    assert isinstance(url, str)
    return (
        Workspace(
            alias=alias,
            url=url.rstrip("/"),
            user_id=options["USER_ID"],
            auth_token=options["AUTH_TOKEN"],
            ca_bundle=None if ca_bundle is None else str(ca_bundle),
            timeout=float(seconds["TIMEOUT"]),
            deadline=float(seconds["DEADLINE"]),
            allow_http=allow_http,
        ),
        [],
    )


def _url_problems(alias: str, url: object, *, allow_http: bool) -> list[Problem]:
    example = "Give the address of the workspace, like https://chat.example.org."
    if not url:
        return [Problem("E007", f"The workspace {alias!r} has no URL.", example)]
    if not isinstance(url, str) or not re.fullmatch(r"[\x21-\x7e\u00a1-\U0010ffff]+", url):
        return [Problem("E008", f"The URL of the workspace {alias!r} cannot be read.", example)]
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return [Problem("E008", f"The URL of the workspace {alias!r}: {error}.", example)]
    if parts.username is not None or parts.password is not None:
        # The value is not repeated: it holds a password.
        return [
            Problem(
                "E008",
                f"The URL of the workspace {alias!r} holds a user name or password.",
                "Take it out: Rocket.Chat is asked with USER_ID and AUTH_TOKEN.",
            )
        ]
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        return [Problem("E008", _is(alias, "URL", url), example)]
    if re.search(r"/api(/v1)?/?$", parts.path):
        return [
            Problem("E008", _is(alias, "URL", url), "Leave /api/v1 out: it is added to the URL.")
        ]
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        return [
            Problem(
                "E009",
                f"{_is(alias, 'URL', url)} The token would cross the network in the clear.",
                "Use https://, or set ALLOW_HTTP to True if the network is your own.",
            )
        ]
    return []


def _credential_problems(alias: str, key: str, value: object, missing: str) -> list[Problem]:
    # None of these messages repeats the value: it may be the token, or be taken for it.
    if not value:
        return [
            Problem(
                missing,
                f"The workspace {alias!r} has no {key}.",
                "Make a personal access token in Rocket.Chat (Account > Personal Access Tokens), "
                "which shows both.",
            )
        ]
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        return [
            Problem(
                "E012",
                f"The {key} of the workspace {alias!r} holds what an HTTP header cannot.",
                "Copy it again, without quotes, spaces or line breaks.",
            )
        ]
    return []


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is(alias: str, key: str, value: object) -> str:
    return f"The {key} of the workspace {alias!r} is {value!r}."


def _names(keys: frozenset[str]) -> str:
    return ", ".join(sorted(keys))
