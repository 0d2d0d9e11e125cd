"""`manage.py prune_import_history`: delete what is older than somebody wants to keep it."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from importmonitor import conf
from importmonitor.conf.options import MAX_DAYS
from importmonitor.management.arguments import MISUSED
from importmonitor.sync.prune import prune_operations, prune_samples


def days(text: str) -> int:
    """Read a number of days, with or without a "d"; raises ArgumentTypeError."""
    found = re.fullmatch(r"([0-9]{1,5})d?", text)
    if found is None or not 1 <= int(found[1]) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MAX_DAYS}")
    return int(found[1])


class Command(BaseCommand):
    help = (
        "Delete imports that ended longer ago than KEEP_DAYS, with their timelines, and samples "
        "of counters older than KEEP_SAMPLES_DAYS. An import that is open, and the newest of each "
        "workspace, are kept whatever their age."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=days,
            metavar="DAYS",
            help="delete imports that ended longer ago (default: KEEP_DAYS)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count what would be deleted, and leave it"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            kept = conf.config().options
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=MISUSED) from None
        now, dry_run = timezone.now(), options["dry_run"]
        told = []
        keep_days = options["older_than"] or kept.keep_days
        if keep_days is not None:
            pruned = prune_operations(now - timedelta(days=keep_days), dry_run=dry_run)
            told += [
                f"operations {pruned.operations:,}",
                f"periods of polls {pruned.periods:,}",
                f"alerts about workspaces {pruned.alerts:,}",
            ]
        if kept.keep_samples_days is not None:
            before = now - timedelta(days=kept.keep_samples_days)
            told.append(f"samples of counters {prune_samples(before, dry_run=dry_run):,}")
        if options["verbosity"] > 0:
            if keep_days is None:
                self.stdout.write(
                    "Imports are kept for ever: set KEEP_DAYS or give --older-than to change that."
                )
            if told:
                verb = "Would delete" if dry_run else "Deleted"
                self.stdout.write(f"{verb}: {', '.join(told)}.")
