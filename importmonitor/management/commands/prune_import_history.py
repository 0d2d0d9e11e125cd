"""`manage.py prune_import_history`: delete old history, or all history of one workspace."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.utils import timezone

from importmonitor import conf
from importmonitor.conf.options import Options
from importmonitor.management.arguments import EXIT_FAILED, EXIT_MISUSED, parse_days
from importmonitor.management.base import ProcessCommand
from importmonitor.models import Workspace
from importmonitor.sync.lease import LeaseLost
from importmonitor.sync.prune import (
    Pruned,
    WorkspaceLeased,
    count_workspace,
    delete_workspace,
    prune_operations,
    prune_samples,
)


class Command(ProcessCommand):
    help = (
        "Delete imports that ended more than KEEP_DAYS ago, with their timelines, and samples of "
        "counters older than KEEP_SAMPLES_DAYS. Imports that have not ended, and the newest of "
        "each workspace, are always kept. With --workspace, delete all history of one workspace "
        "instead, and everything else that is stored about it."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=parse_days,
            metavar="DAYS",
            help="delete imports that ended more than DAYS ago (default: KEEP_DAYS)",
        )
        parser.add_argument(
            "--workspace",
            metavar="ALIAS",
            help="delete all history of this workspace, which need not be configured any more",
        )
        parser.add_argument(
            "--noinput",
            "--no-input",
            action="store_false",
            dest="interactive",
            help="with --workspace: do not ask for confirmation",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only count what would be deleted"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            conf.check()
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=EXIT_MISUSED) from None
        if options["workspace"] is None:
            self.prune(conf.get_options(), options)
            return
        if options["older_than"]:
            raise CommandError(
                "--workspace deletes all history of the workspace: leave out --older-than.",
                returncode=EXIT_MISUSED,
            )
        alias = options["workspace"]
        self.delete_workspace(alias, options, is_configured=bool(conf.find_configured([alias])))

    def prune(self, config: Options, options: dict[str, Any]) -> None:
        """Delete what is older than it is to be kept."""
        now, dry_run = timezone.now(), options["dry_run"]
        counts = []
        keep_days = options["older_than"] or config.keep_days
        if keep_days is not None:
            pruned = prune_operations(now - timedelta(days=keep_days), dry_run=dry_run)
            counts += [
                f"operations {pruned.operations:,}",
                f"sync periods {pruned.periods:,}",
                f"workspace alerts {pruned.alerts:,}",
            ]
        if config.keep_samples_days is not None:
            before = now - timedelta(days=config.keep_samples_days)
            counts.append(f"samples {prune_samples(before, dry_run=dry_run):,}")
        if options["verbosity"] > 0:
            if keep_days is None:
                self.stdout.write(
                    "No imports are deleted: set KEEP_DAYS or use --older-than to change that."
                )
            if counts:
                verb = "Would delete" if dry_run else "Deleted"
                self.stdout.write(f"{verb}: {', '.join(counts)}.")

    def delete_workspace(self, alias: str, options: dict[str, Any], *, is_configured: bool) -> None:
        """Delete everything that is stored about a workspace, after a confirmation."""
        counted = count_workspace(alias)
        known = list(Workspace.objects.values_list("alias", flat=True))
        if alias not in known and counted == Pruned():
            raise CommandError(
                f"There is no history of a workspace {alias!r}. There is of: "
                f"{', '.join(known) or 'none'}.",
                returncode=EXIT_MISUSED,
            )
        if options["dry_run"]:
            self.write_counts("Would delete", alias, counted, options["verbosity"])
            return
        if options["interactive"] and not self.confirm(alias, counted, is_configured=is_configured):
            self.stdout.write("Nothing was deleted.")
            return
        try:
            deleted = delete_workspace(alias)
        except (WorkspaceLeased, LeaseLost):
            raise CommandError(
                f"{alias} is being polled by another process. Remove it from the settings of "
                "whatever polls it, and try again in a minute.",
                returncode=EXIT_FAILED,
            ) from None
        self.write_counts("Deleted", alias, deleted, options["verbosity"])

    def confirm(self, alias: str, counted: Pruned, *, is_configured: bool) -> bool:
        """Ask whether to delete a workspace's history, as Django's `flush` asks."""
        self.write_counts("This will IRREVERSIBLY DELETE", alias, counted, 1)
        if is_configured:
            self.stdout.write(
                f"{alias} is still configured: the next poll will store its current and latest "
                "imports again."
            )
        try:
            return input("Type 'yes' to continue, or 'no' to cancel: ") == "yes"
        except EOFError:
            raise CommandError(
                "There is no terminal to confirm this on: use --no-input.", returncode=EXIT_MISUSED
            ) from None

    def write_counts(self, verb: str, alias: str, pruned: Pruned, verbosity: int) -> None:
        if verbosity > 0:
            self.stdout.write(
                f"{verb}: workspace {alias}, operations {pruned.operations:,}, "
                f"sync periods {pruned.periods:,}, alerts {pruned.alerts:,}."
            )
