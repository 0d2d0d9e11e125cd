"""`manage.py send_test_alert`: test that alerts arrive."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError

from importmonitor import conf
from importmonitor.alerts.check import send_test_alert
from importmonitor.logs import printable
from importmonitor.management.arguments import EXIT_FAILED, EXIT_MISUSED
from importmonitor.management.base import ProcessCommand

#: For all channels together, in seconds.
TIMEOUT = 120.0


class Command(ProcessCommand):
    help = (
        "Send a test message through each channel as alerts are sent, and show whether it was "
        "accepted. Exit status: 0 all were, 1 one or more were not, 2 wrong usage or "
        "configuration."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--channel",
            action="append",
            metavar="NAME",
            default=[],
            help="only this channel; can be repeated (default: all)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            conf.check()
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=EXIT_MISUSED) from None
        configured = conf.get_options().channels
        if not configured:
            raise CommandError(
                "No channel is configured. Set IMPORTMONITOR_ALERT_EMAILS or "
                "IMPORTMONITOR_ALERT_URLS, or fill IMPORTMONITOR['CHANNELS'].",
                returncode=EXIT_MISUSED,
            )
        names = list(dict.fromkeys(options["channel"])) or list(configured)
        if unknown := [name for name in names if name not in configured]:
            raise CommandError(
                f"There is no channel {unknown[0]!r}. Configured: {', '.join(configured)}.",
                returncode=EXIT_MISUSED,
            )
        alerts = send_test_alert([configured[name] for name in names], seconds=TIMEOUT)
        for alert in alerts:
            if alert.delivered_at:
                self.stdout.write(self.style.SUCCESS(f"{alert.channel}: delivered"))
            else:
                reason = printable(alert.last_error) or "not delivered"
                self.stderr.write(f"{alert.channel}: {reason}")
        if not all(alert.delivered_at for alert in alerts):
            sys.exit(EXIT_FAILED)
