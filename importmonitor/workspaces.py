"""One workspace as it is configured, and every mistake that can be made in that."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

KEYS = frozenset({"URL", "USER_ID", "AUTH_TOKEN", "CA_BUNDLE", "TIMEOUT", "DEADLINE", "ALLOW_HTTP"})

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


def read_workspace(alias: object, options: object) -> tuple[Workspace | None, list[Problem]]:
    """Read one entry of WORKSPACES; return the workspace, or None and what is wrong with it."""
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
            f"Its keys are {', '.join(sorted(KEYS))}.",
        )
        for key in options
        if key not in KEYS
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
