"""Whether a workspace can be monitored, and if not, how to fix it. Nothing is stored."""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from importmonitor import conf, humanize
from importmonitor.rocketchat.client import Client, proxy_address, proxy_for
from importmonitor.rocketchat.clock import SMALL_OFFSET
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import NotRocketChat, PermissionMissing, RocketChatError


class Level(StrEnum):
    """How good a finding is; with a PROBLEM, the workspace cannot be monitored."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One result of a check, in words without secrets."""

    level: Level
    text: str


def check_connection(
    workspace: WorkspaceConfig, *, time_limit: float = math.inf
) -> Iterator[Finding]:
    """Yield what is right and wrong with a workspace's URL, TLS, credentials and permissions.

    `time_limit` is the number of seconds for all requests together; each has its deadline.
    """
    ends_at = time.monotonic() + time_limit
    # An unusable one is an error of the request.
    with suppress(ValueError):
        if proxy := proxy_for(workspace.url):
            yield Finding(Level.NOTE, f"by the environment's proxy {proxy_address(proxy)}")
    with Client(workspace) as client:
        try:
            _limit(client, ends_at)
            operation = client.current_operation()
        except NotRocketChat as error:
            yield _problem(error)
            if url := _rocketchat_url(workspace, ends_at):
                text = f"Rocket.Chat responds at {url} : set the URL to that."
                yield Finding(Level.NOTE, text)
            return
        except RocketChatError as error:
            yield _problem(error)
            if isinstance(error, PermissionMissing):
                # The credentials are valid, so the other permission can be checked as well.
                yield _check_list(client, ends_at)
            return
        current = (
            "nothing was ever imported"
            if operation is None
            else f"the current operation is {operation.type or operation.remote_id}, "
            f"{operation.status or operation.state}"
        )
        yield Finding(Level.OK, f"run-import: {current}")
        yield from _check_clock(client.clock_offset)
        yield _check_list(client, ends_at)
        if conf.get_options().user_names:
            yield _check_names(client, ends_at)
        yield _check_version(client, ends_at)


def _limit(client: Client, ends_at: float) -> None:
    """Give the next request of a client no more than the time that is left."""
    left = ends_at - time.monotonic()
    if left < client.workspace.deadline:
        # Rounded: an error names it.
        client.workspace = replace(client.workspace, deadline=max(0.01, round(left, 2)))


def _problem(error: RocketChatError) -> Finding:
    return Finding(Level.PROBLEM, f"{error.kind}: {error}")


def _check_clock(offset: timedelta | None) -> Iterator[Finding]:
    """Yield how Rocket.Chat's clock differs from ours, if it is by more than a little."""
    if offset is None or abs(offset) <= SMALL_OFFSET:
        return
    # Rounded: it is only exact to about a second.
    duration = timedelta(minutes=round(abs(offset) / timedelta(minutes=1)))
    direction = "ahead of" if offset > timedelta(0) else "behind"
    text = (
        f"Rocket.Chat's clock is {humanize.format_duration(duration)} {direction} this server's; "
        "times are corrected."
    )
    yield Finding(Level.NOTE, text)


def _check_list(client: Client, ends_at: float) -> Finding:
    """Check the list of operations; a poll can do without the permission to read it."""
    try:
        _limit(client, ends_at)
        count = len(client.latest_operations())
    except PermissionMissing as error:
        missed = "Without it, an import that starts and ends between two polls is missed."
        return Finding(Level.NOTE, f"{error} {missed}")
    except RocketChatError as error:
        return _problem(error)
    return Finding(Level.OK, f"view-import-operations: {count} operations listed")


def _check_names(client: Client, ends_at: float) -> Finding:
    """Check that names of users can be read, by that of the token's own user."""
    try:
        _limit(client, ends_at)
        client.user_name(client.workspace.user_id)
    except RocketChatError as error:
        text = f"{error} Without names, imports show the ids of their users."
        return Finding(Level.NOTE, text)
    return Finding(Level.OK, "users.info: names of users can be read")


def _check_version(client: Client, ends_at: float) -> Finding:
    """Return Rocket.Chat's version; a workspace may not reveal it at /api/info."""
    try:
        _limit(client, ends_at)
        version = client.version()
    except RocketChatError:
        version = None
    return Finding(Level.OK, f"Rocket.Chat {version}" if version else "version unknown")


def _rocketchat_url(workspace: WorkspaceConfig, ends_at: float) -> str | None:
    """Return the first parent of the configured URL at which Rocket.Chat responds, or None.

    Only on the same host, and requested without credentials.
    """
    for url in _parents(workspace.url):
        try:
            with Client(replace(workspace, url=url)) as client:
                _limit(client, ends_at)
                client.version()
        except RocketChatError:
            continue
        return url
    return None


def _parents(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    path = parts.path
    while path:
        path = path.rpartition("/")[0]
        yield urlunsplit(parts._replace(path=path))
