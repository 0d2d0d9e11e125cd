"""`manage.py prune_import_history`: delete history that is older than it is to be config."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.utils import timezone

from importmonitor import conf
from importmonitor.management.arguments import EXIT_MISUSED, parse_days
from importmonitor.management.base import ProcessCommand
from importmonitor.sync.prune import prune_operations, prune_samples


class Command(ProcessCommand):
    help = (
        "Delete imports that ended more than KEEP_DAYS ago, with their timelines, and samples of "
        "counters older than KEEP_SAMPLES_DAYS. Imports that have not ended, and the newest of "
        "each workspace, are always kept."
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
            "--dry-run", action="store_true", help="only count what would be deleted"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            config = conf.get_config().options
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=EXIT_MISUSED) from None
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
