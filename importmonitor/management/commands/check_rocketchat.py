"""`manage.py check_rocketchat`: check that each workspace can be monitored."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from importmonitor import conf, humanize
from importmonitor.logs import printable
from importmonitor.management.arguments import (
    EXIT_FAILED,
    add_workspace_argument,
    select_workspaces,
)
from importmonitor.management.base import ProcessCommand
from importmonitor.rocketchat.client import Client, proxy_address, proxy_for
from importmonitor.rocketchat.clock import SMALL_OFFSET
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import NotRocketChat, PermissionMissing, RocketChatError


class Command(ProcessCommand):
    help = (
        "Check the URL, TLS, credentials and permissions of each Rocket.Chat workspace, and "
        "explain how to fix what is wrong. Stores nothing. Exit status: 0 all workspaces can be "
        "monitored, 1 one or more cannot, 2 wrong usage or configuration."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_workspace_argument(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        results = [
            self.check_workspace(workspace) for workspace in select_workspaces(options["workspace"])
        ]
        if not all(results):
            sys.exit(EXIT_FAILED)

    def check_workspace(self, workspace: WorkspaceConfig) -> bool:
        """Check a workspace; return whether its imports can be monitored."""
        self.stdout.write(f"{workspace.alias}: {workspace.url}")
        # An unusable one is an error of the request.
        with suppress(ValueError):
            if proxy := proxy_for(workspace.url):
                self.stdout.write(f"  note     by the environment's proxy {proxy_address(proxy)}")
        with Client(workspace) as client:
            try:
                operation = client.current_operation()
            except NotRocketChat as error:
                self.write_problem(error)
                if url := _rocketchat_url(workspace):
                    self.stdout.write(f"  Rocket.Chat responds at {url} : set the URL to that.")
                return False
            except PermissionMissing as error:
                # The credentials are valid, so the other permission can be checked as well.
                self.write_problem(error)
                self.check_list(client)
                return False
            except RocketChatError as error:
                self.write_problem(error)
                return False
            self.write_ok(
                "run-import: "
                + (
                    "nothing was ever imported"
                    if operation is None
                    else f"the current operation is {operation.type or operation.remote_id}, "
                    f"{operation.status or operation.state}"
                )
            )
            self.check_clock(client.clock_offset)
            is_list_usable = self.check_list(client)
            if conf.get_options().user_names:
                self.check_names(client)
            self.check_version(client)
        return is_list_usable

    def check_clock(self, offset: timedelta | None) -> None:
        """Say how Rocket.Chat's clock differs from ours, if it is by more than a little."""
        if offset is None or abs(offset) <= SMALL_OFFSET:
            return
        # Rounded: it is only exact to about a second.
        duration = timedelta(minutes=round(abs(offset) / timedelta(minutes=1)))
        direction = "ahead of" if offset > timedelta(0) else "behind"
        self.stdout.write(
            self.style.WARNING(
                f"  note     Rocket.Chat's clock is {humanize.format_duration(duration)} "
                f"{direction} this server's; times are corrected."
            )
        )

    def check_list(self, client: Client) -> bool:
        """Check the list of operations; return False unless it works or only lacks permission."""
        try:
            count = len(client.latest_operations())
        except PermissionMissing as error:
            self.stdout.write(self.style.WARNING(f"  note     {printable(str(error))}"))
            self.stdout.write(
                "           Without it, an import that starts and ends between two polls is missed."
            )
            return True
        except RocketChatError as error:
            self.write_problem(error)
            return False
        self.write_ok(f"view-import-operations: {count} operations listed")
        return True

    def check_names(self, client: Client) -> None:
        """Check that names of users can be read, by that of the token's own user."""
        try:
            client.user_name(client.workspace.user_id)
        except RocketChatError as error:
            self.stdout.write(self.style.WARNING(f"  note     {printable(str(error))}"))
            self.stdout.write("           Without names, imports show the ids of their users.")
        else:
            self.write_ok("users.info: names of users can be read")

    def check_version(self, client: Client) -> None:
        """Show Rocket.Chat's version; a workspace may not reveal it at /api/info."""
        try:
            version = client.version()
        except RocketChatError:
            version = None
        self.write_ok(f"Rocket.Chat {printable(version)}" if version else "version unknown")

    def write_ok(self, text: str) -> None:
        self.stdout.write(self.style.SUCCESS(f"  ok       {printable(text)}"))

    def write_problem(self, error: RocketChatError) -> None:
        self.stderr.write(f"  problem  {error.kind}: {printable(str(error))}")


def _rocketchat_url(workspace: WorkspaceConfig) -> str | None:
    """Return the first parent of the configured URL at which Rocket.Chat responds, or None.

    Only on the same host, and requested without credentials.
    """
    for url in _parents(workspace.url):
        try:
            with Client(replace(workspace, url=url)) as client:
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
