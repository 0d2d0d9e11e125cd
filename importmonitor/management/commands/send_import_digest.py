"""`manage.py send_import_digest`: a summary of a day or a week, for cron."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.utils import timezone, translation

from importmonitor import conf
from importmonitor.alerts.messages import render_message
from importmonitor.choices import DigestPeriod
from importmonitor.logs import printable
from importmonitor.management.arguments import EXIT_FAILED, EXIT_MISUSED
from importmonitor.management.base import ProcessCommand
from importmonitor.models import Alert
from importmonitor.sync.digests import draft_digests, write_digests
from importmonitor.sync.poll import deliver_alerts


class Command(ProcessCommand):
    help = (
        "Send the digest of the last day or week to each channel with a DIGEST, unless it was sent "
        "before. Exit status: 0 all were delivered, 1 one or more could not be and are retried by "
        "the next polls, 2 wrong usage or configuration."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--period",
            choices=[*DigestPeriod],
            help="only the channels that get such a digest (default: all)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show the digests, and send nothing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            conf.check()
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=EXIT_MISUSED) from None
        if not any(channel.digest for channel in conf.get_options().channels.values()):
            raise CommandError(
                "No channel has a DIGEST. Set IMPORTMONITOR_ALERT_DIGEST, or the DIGEST of a "
                "channel in IMPORTMONITOR['CHANNELS'].",
                returncode=EXIT_MISUSED,
            )
        now = timezone.now()
        period = DigestPeriod(options["period"]) if options["period"] else None
        if options["dry_run"]:
            with translation.override(settings.LANGUAGE_CODE):
                for channel, draft in draft_digests(now, period):
                    message = render_message(draft.body)
                    text = "\n".join(map(printable, message.text.split("\n")))
                    self.stdout.write(f"{channel.name}: {printable(message.title)}\n\n{text}\n")
            return
        keys = [alert.pk for alert in write_digests(now, period)]
        if keys:
            deliver_alerts()
        alerts = Alert.objects.filter(pk__in=keys).order_by("pk")
        for alert in alerts:
            if alert.delivered_at is None:
                reason = printable(alert.last_error) or "not delivered yet"
                self.stderr.write(f"{alert.channel}: {reason}")
            elif options["verbosity"] > 0:
                self.stdout.write(self.style.SUCCESS(f"{alert.channel}: delivered"))
        if not all(alert.delivered_at for alert in alerts):
            sys.exit(EXIT_FAILED)
