"""`manage.py acknowledge_incidents`: acknowledge what is open."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from importmonitor.management.arguments import (
    add_reason_arguments,
    add_workspace_argument,
    misuse,
    parse_hours,
    parse_time,
    select_workspaces,
)
from importmonitor.management.base import ProcessCommand
from importmonitor.models import Incident
from importmonitor.models.incidents import validate_until


def parse_key(text: str) -> int:
    """Return the id of an incident; raises ArgumentTypeError."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not the id of an incident")


class Command(ProcessCommand):
    help = (
        "Acknowledge open incidents, so that there are no reminders: until a time, or else until "
        "they are over. Exit status: 0 done, also if nothing is open, 2 wrong usage or "
        "configuration."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_workspace_argument(parser)
        parser.add_argument(
            "--incident",
            action="append",
            type=parse_key,
            metavar="ID",
            default=[],
            help="only this incident; can be repeated (default: all)",
        )
        ends = parser.add_mutually_exclusive_group()
        ends.add_argument("--hours", type=parse_hours, metavar="H", help="for so many hours")
        ends.add_argument("--until", type=parse_time, metavar="TIME", help="until this time")
        add_reason_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        incidents = Incident.objects.all()
        if options["workspace"]:
            aliases = [workspace.alias for workspace in select_workspaces(options["workspace"])]
            incidents = incidents.filter(workspace__in=aliases)
        if keys := options["incident"]:
            known = set(incidents.filter(pk__in=keys).values_list("pk", flat=True))
            if unknown := [key for key in keys if key not in known]:
                raise misuse(f"There is no incident {unknown[0]}.")
            incidents = incidents.filter(pk__in=keys)
        now, until = timezone.now(), options["until"]
        if options["hours"] is not None:
            until = now + timedelta(hours=options["hours"])
        if until is not None:
            try:
                validate_until(until, now)
            except ValidationError as error:
                raise misuse(error) from None
        count = incidents.acknowledge(by=options["by"], at=now, until=until, note=options["note"])
        if options["verbosity"] > 0:
            self.stdout.write(f"Acknowledged: {count}.")
