"""The settings of one workspace, and every mistake in them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from importmonitor.conf.problems import Problems, describe, describe_name
from importmonitor.rocketchat import log_url, urls
from importmonitor.rocketchat.config import WorkspaceConfig

KEYS = frozenset(
    {
        *("URL", "USER_ID", "AUTH_TOKEN", "HEADERS", "CA_BUNDLE"),
        *("TIMEOUT", "DEADLINE", "ALLOW_HTTP", "LOG_URL", "GROUPS"),
    }
)

ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ALIAS_MAX_LENGTH = 63
#: That of the names of Django's groups.
_GROUP_MAX_LENGTH = 150
_GROUP_CONTAINERS = (list, tuple, set, frozenset)

# What an HTTP header carries without quoting, folding or a surprise (RFC 9110, 5.5: VCHAR).
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")
# Of HEADERS: also with spaces within, and in Latin-1 (RFC 9110, 5.1 and 5.5).
_HEADERS_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADERS_VALUE = re.compile(r"[\x21-\x7e\xa1-\xff](?:[\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa1-\xff])?")
#: The client's own; what is about one connection; and what changes which response is sent.
RESERVED_HEADERS = frozenset(
    {
        *("x-user-id", "x-auth-token", "accept", "accept-encoding", "cookie", "cookie2"),
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding"),
        *("connection", "keep-alive", "te", "trailer", "upgrade", "expect", "range", "if-range"),
        *("proxy-authorization", "proxy-authenticate", "proxy-connection", "if-none-match"),
        *("if-match", "if-modified-since", "if-unmodified-since", "set-cookie", "max-forwards"),
    }
)


@dataclass(frozen=True)
class WorkspaceLinks:
    """Addresses for people: a workspace's, and one of its log with placeholders; "" for none."""

    url: str = ""
    log_url: str = ""

    @property
    def import_page(self) -> str:
        """Rocket.Chat's own page of imports."""
        return f"{self.url}/admin/import" if self.url else ""

    def log_link(self, start: datetime, end: datetime, remote_id: str) -> str:
        """Return the link into the log at a time span, "" if there is none."""
        return log_url.fill(self.log_url, start, end, remote_id) if self.log_url else ""


def read_links(options: object) -> WorkspaceLinks:
    """Return the addresses of an entry of WORKSPACES; those that are invalid are left out."""
    if not isinstance(options, Mapping):
        return WorkspaceLinks()
    url, template = options.get("URL"), options.get("LOG_URL")
    url_problems, log_problems = Problems(), Problems()
    _check_url("", url, url_problems, allow_http=True)
    _check_log_url("", template, log_problems)
    return WorkspaceLinks(
        "" if len(url_problems) else str(url).rstrip("/"),
        "" if len(log_problems) else str(template or ""),
    )


def read_workspace(alias: object, options: object, problems: Problems) -> WorkspaceConfig | None:
    """Read one entry of WORKSPACES; report its mistakes and return None if it has any."""
    if not isinstance(alias, str) or not ALIAS.fullmatch(alias):
        problems.error(
            "E004",
            f"A workspace alias cannot be used: {describe_name(alias)}.",
            "Use lower-case letters, digits, '-' and '_', at most 63, with a letter or digit "
            "first: it becomes part of URLs.",
        )
        return None
    if not isinstance(options, Mapping):
        problems.error(
            "E005",
            f"The workspace {alias!r} is {describe(options)}.",
            "Make it a dict with URL, USER_ID and AUTH_TOKEN.",
        )
        return None
    known_problems = len(problems)
    for key in options:
        if key not in KEYS:
            problems.error(
                "E006",
                f"The workspace {alias!r} has an unknown key: {describe_name(key)}.",
                f"Its keys are {', '.join(sorted(KEYS))}.",
            )
    allow_http = options.get("ALLOW_HTTP", False)
    if not isinstance(allow_http, bool):
        problems.error("E015", _is(alias, "ALLOW_HTTP", allow_http), "Make it True or False.")
    url = options.get("URL")
    _check_url(alias, url, problems, allow_http=allow_http is True)
    _check_credential(alias, "USER_ID", options.get("USER_ID"), "E010", problems)
    _check_credential(alias, "AUTH_TOKEN", options.get("AUTH_TOKEN"), "E011", problems)
    headers = options.get("HEADERS")
    _check_headers(alias, headers, problems)
    ca_bundle = options.get("CA_BUNDLE")
    _check_ca_bundle(alias, ca_bundle, problems)
    _check_log_url(alias, options.get("LOG_URL"), problems)
    seconds = {"TIMEOUT": options.get("TIMEOUT", 10), "DEADLINE": options.get("DEADLINE", 30)}
    for key, value in seconds.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 3600:
            problems.error(
                "E014",
                _is(alias, key, value),
                "Make it a number of seconds, more than 0 and at most 3600.",
            )
    groups = options.get("GROUPS")
    if groups is not None and not _are_groups(groups):
        problems.error(
            "E026",
            _is(alias, "GROUPS", groups)
            if not isinstance(groups, _GROUP_CONTAINERS)
            else f"The GROUPS of the workspace {alias!r} has what is no name of a group.",
            'Make it a list of names of Django groups, such as ["acme-ops"], of at most '
            f"{_GROUP_MAX_LENGTH} characters. Without it, all users with a permission to see "
            "imports see the workspace.",
        )
    if len(problems) > known_problems:
        return None
    assert isinstance(url, str)
    return WorkspaceConfig(
        alias=alias,
        url=str(url).rstrip("/"),
        user_id=options["USER_ID"],
        auth_token=options["AUTH_TOKEN"],
        ca_bundle=None if ca_bundle is None else str(ca_bundle),
        timeout=float(seconds["TIMEOUT"]),
        deadline=float(seconds["DEADLINE"]),
        allow_http=allow_http,
        headers=tuple((headers or {}).items()),
        groups=read_groups(options),
    )


def read_groups(options: object) -> tuple[str, ...] | None:
    """Return the groups that a workspace is limited to, None if it is not limited.

    A mistake is no group at all, so that only superusers see the workspace.
    """
    groups = options.get("GROUPS") if isinstance(options, Mapping) else ()
    if groups is None:
        return None
    return tuple(sorted(set(map(str, groups)))) if _are_groups(groups) else ()


def _are_groups(value: object) -> bool:
    return isinstance(value, _GROUP_CONTAINERS) and all(
        isinstance(name, str) and 0 < len(name) <= _GROUP_MAX_LENGTH for name in value
    )


def _check_url(alias: str, url: object, problems: Problems, *, allow_http: bool) -> None:
    example = "Give the address of the workspace, like https://chat.example.org."
    if not url:
        problems.missing("E007", f"The workspace {alias!r} has no URL.", example)
        return
    if not isinstance(url, str):
        problems.error("E008", f"The URL of the workspace {alias!r} cannot be read.", example)
        return
    try:
        host, parts = urls.read_host(url), urlsplit(url)
    except ValueError as error:
        # The value is not repeated: it may hold a password.
        problems.error(
            "E008",
            f"The URL of the workspace {alias!r} cannot be used: {error}.",
            f"{example} USER_ID and AUTH_TOKEN authenticate with Rocket.Chat; for a login of a "
            "server in front of it, there is HEADERS.",
        )
        return
    if "?" in url or "#" in url:
        problems.error(
            "E008", f"The URL of the workspace {alias!r} contains a '?' or '#'.", example
        )
    elif re.search(r"/api(/v1)?/?$", parts.path):
        problems.error(
            "E008",
            f"The URL of the workspace {alias!r} ends with the path of the API.",
            "Leave /api/v1 out: it is added to the URL.",
        )
    elif parts.scheme == "http" and not (allow_http or urls.is_loopback(host)):
        problems.error(
            "E009",
            f"The URL of the workspace {alias!r} is http://{host}. The token would cross the "
            "network in the clear.",
            "Use https://, or set ALLOW_HTTP to True if the network is your own.",
        )


def _check_credential(
    alias: str, key: str, value: object, missing_id: str, problems: Problems
) -> None:
    # No message repeats the value: it may be the token, or be mistaken for it.
    if not value:
        problems.missing(
            missing_id,
            f"The workspace {alias!r} has no {key}.",
            "Make a personal access token in Rocket.Chat (Account > Personal Access Tokens), "
            "which shows both.",
        )
    elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        problems.error(
            "E012",
            f"The {key} of the workspace {alias!r} holds what an HTTP header cannot.",
            "Copy it again, without quotes, spaces or line breaks.",
        )


def _check_ca_bundle(alias: str, value: object, problems: Problems) -> None:
    if value is None or value == "" or (problem := _ca_bundle_problem(value)) is None:
        return
    problems.missing(
        "E013",
        f"The CA_BUNDLE of the workspace {alias!r} {problem}.",
        "Give the path of a file of CA certificates in PEM form, or leave it out.",
    )


def _ca_bundle_problem(value: object) -> str | None:
    """Return why a file of certificates cannot be used, None if it can."""
    if not isinstance(value, str | Path):
        return f"is {describe(value)}"
    if "-----BEGIN" in str(value):
        return "holds a certificate itself instead of the path of its file"
    path = str(value)
    # Only what is obviously a path is repeated: it could be the token, in the wrong place.
    is_path = path.startswith("/") or path.endswith((".pem", ".crt", ".cer"))
    is_shown = is_path and path.isprintable() and len(path) <= 255
    name = f"is {path!r}, which" if is_shown else "is a path that"
    try:
        if Path(path).is_dir():
            return f"{name} is a directory"
        Path(path).stat()
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    except ValueError:
        return "is a path that no file can have"
    return None if os.access(path, os.R_OK) else f"{name} may not be read by this user"


def _check_log_url(alias: str, value: object, problems: Problems) -> None:
    if value is None or value == "":
        return
    problem = log_url.find_problem(value) if isinstance(value, str) else f"is {describe(value)}"
    if problem:
        # The value is not repeated: it may hold a password.
        names = ", ".join(f"{{{name}}}" for name in log_url.PLACEHOLDERS)
        problems.error(
            "E027",
            f"The LOG_URL of the workspace {alias!r} {problem}.",
            "Give the address of a search in a log viewer, like https://logs.example.org/"
            f"search?from={{from}}&to={{to}}. Its placeholders are {names}; "
            "write other braces as %7B and %7D.",
        )


def _check_headers(alias: str, headers: object, problems: Problems) -> None:
    # No message repeats a value: it is a password. Nor what may be one in the place of a name.
    if headers is None:
        return
    problem = None
    if not isinstance(headers, Mapping):
        problem = f"is {describe(headers)}"
    else:
        names = [name for name in headers if isinstance(name, str)]
        lower = [name.lower() for name in names]
        reserved = sorted(RESERVED_HEADERS.intersection(lower))
        if not all(map(_HEADERS_NAME.fullmatch, names)) or len(names) < len(headers):
            problem = "has a name that is none of a header"
        elif reserved:
            problem = f"has {', '.join(reserved)}, which cannot be set there"
        elif len(set(lower)) < len(lower):
            problem = "has a header twice, in different case"
        elif not all(
            isinstance(value, str) and _HEADERS_VALUE.fullmatch(value) for value in headers.values()
        ):
            problem = "has a value that is not one line of printable Latin-1 text"
    if problem is not None:
        problems.error(
            "E024",
            f"The HEADERS of the workspace {alias!r} {problem}.",
            'Make it a dict of values by name, like {"Authorization": "Basic bWU6c2VjcmV0"}; in '
            "the environment, a JSON object.",
        )


def _is(alias: str, key: str, value: object) -> str:
    return f"The {key} of the workspace {alias!r} is {describe(value)}."
