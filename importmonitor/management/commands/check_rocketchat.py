"""`manage.py check_rocketchat`: check that each workspace can be monitored."""

import sys
from argparse import ArgumentParser
from typing import Any

from importmonitor.logs import printable
from importmonitor.management.arguments import (
    EXIT_FAILED,
    add_workspace_argument,
    select_workspaces,
)
from importmonitor.management.base import ProcessCommand
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.connection import Finding, Level, check_connection


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
        levels = set()
        for finding in check_connection(workspace):
            self.write_finding(finding)
            levels.add(finding.level)
        return Level.PROBLEM not in levels

    def write_finding(self, finding: Finding) -> None:
        line = f"  {finding.level:<8} {printable(finding.text)}"
        if finding.level == Level.PROBLEM:
            self.stderr.write(line)
        else:
            style = self.style.SUCCESS if finding.level == Level.OK else self.style.WARNING
            self.stdout.write(style(line))
