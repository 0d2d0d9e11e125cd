"""`manage.py check_rocketchat`: look once, and say in words what is wrong and what to do."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.core.management import BaseCommand

from importmonitor.management.arguments import (
    FAILED,
    add_workspace_argument,
    printable,
    select_workspaces,
)
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import NotRocketChat, PermissionMissing, RocketChatError


class Command(BaseCommand):
    help = (
        "Ask each Rocket.Chat workspace once, and tell what is wrong with its URL, its TLS, its "
        "credentials or their permissions, and what to do. Stores nothing. Exit status: 0 all is "
        "well, 1 a workspace cannot be monitored, 2 bad usage or configuration."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_workspace_argument(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        results = [
            self.check_workspace(workspace) for workspace in select_workspaces(options["workspace"])
        ]
        if not all(results):
            sys.exit(FAILED)

    def check_workspace(self, workspace: WorkspaceConfig) -> bool:
        """Check one workspace; tell whether its imports can be monitored."""
        self.stdout.write(f"{workspace.alias}: {workspace.url}")
        with Client(workspace) as client:
            try:
                operation = client.current_operation()
            except NotRocketChat as error:
                self.problem(error)
                if meant := _meant(workspace):
                    self.stdout.write(f"  Rocket.Chat answers at {meant} : set the URL to that.")
                return False
            except PermissionMissing as error:
                # The credentials are good, so what else they lack can be told at once.
                self.problem(error)
                self.check_list(client)
                return False
            except RocketChatError as error:
                self.problem(error)
                return False
            self.good(
                "run-import: "
                + (
                    "nothing was ever imported"
                    if operation is None
                    else f"the current operation is {operation.type or operation.remote_id}, "
                    f"{operation.status or operation.state}"
                )
            )
            listed = self.check_list(client)
            self.check_version(client)
        return listed

    def check_list(self, client: Client) -> bool:
        """Check the list of operations, which the monitor can do without."""
        try:
            count = len(client.latest_operations())
        except PermissionMissing as error:
            self.stdout.write(self.style.WARNING(f"  note     {printable(str(error))}"))
            self.stdout.write(
                "           Without it, an import that begins and ends between two looks is missed."
            )
            return True
        except RocketChatError as error:
            self.problem(error)
            return False
        self.good(f"view-import-operations: {count} operations are listed")
        return True

    def check_version(self, client: Client) -> None:
        """Tell Rocket.Chat's version, where it tells it: a workspace may keep /api/info closed."""
        try:
            version = client.version()
        except RocketChatError:
            version = None
        self.good(f"Rocket.Chat {printable(version)}" if version else "version not told")

    def good(self, text: str) -> None:
        self.stdout.write(self.style.SUCCESS(f"  ok       {printable(text)}"))

    def problem(self, error: RocketChatError) -> None:
        self.stderr.write(f"  problem  {error.kind}: {printable(str(error))}")


def _meant(workspace: WorkspaceConfig) -> str | None:
    """Return the first address above the configured one that answers as Rocket.Chat does.

    On the same host only, and asked without credentials.
    """
    for url in _above(workspace.url):
        try:
            with Client(replace(workspace, url=url)) as client:
                client.version()
        except RocketChatError:
            continue
        return url
    return None


def _above(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    path = parts.path
    while path:
        path = path.rpartition("/")[0]
        yield urlunsplit(parts._replace(path=path))
