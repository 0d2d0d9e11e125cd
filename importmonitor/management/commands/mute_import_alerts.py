"""`manage.py mute_import_alerts`: maintenance of a workspace, or of one of its imports."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from importmonitor.management.arguments import (
    add_reason_arguments,
    misuse,
    parse_hours,
    parse_time,
    select_workspaces,
)
from importmonitor.management.base import ProcessCommand
from importmonitor.models import ImportOperation, Incident
from importmonitor.models.incidents import plan_maintenance


class Command(ProcessCommand):
    help = (
        "Mute the alerts about a workspace, or about one of its imports, now or from a later time. "
        "Polls and the history go on, and what is not over afterwards is alerted then. Exit "
        "status: 0 done, 2 wrong usage or configuration."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="ALIAS", help="the workspace")
        parser.add_argument(
            "--operation",
            metavar="ID",
            help="only this import, by its id in Rocket.Chat or in importmonitor",
        )
        parser.add_argument(
            "--since",
            type=parse_time,
            metavar="TIME",
            help="when it begins, such as 22:00 (default: now)",
        )
        ends = parser.add_mutually_exclusive_group(required=True)
        ends.add_argument("--hours", type=parse_hours, metavar="H", help="how long it lasts")
        ends.add_argument("--until", metavar="TIME", help="when it ends, such as 06:00")
        ends.add_argument(
            "--until-over",
            action="store_true",
            help="until the import has ended, or the workspace is reachable again",
        )
        ends.add_argument(
            "--end", action="store_true", help="end it now, and cancel what is planned"
        )
        add_reason_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        alias: str = select_workspaces([options["workspace"]])[0].alias
        operation = self.find_operation(alias, options["operation"])
        subject = alias if operation is None else f"{alias}, {operation}"
        now, since = timezone.now(), options["since"]
        if options["end"]:
            if since is not None:
                raise misuse("--end ends it now: leave out --since.")
            count = Incident.objects.unmute(alias, now, operation)
            self.write(
                f"{subject}: ended {count}." if count else f"{subject}: was not muted.", options
            )
            return
        until = None
        if not options["until_over"]:
            try:
                if options["until"]:
                    until = parse_time(options["until"], after=since)
                since, until = plan_maintenance(
                    now, since=since, until=until, hours=options["hours"]
                )
            except (ArgumentTypeError, ValidationError) as error:
                raise misuse(error) from None
        elif since is not None:
            raise misuse("--until-over begins now: leave out --since.")
        incident = Incident.objects.mute(
            alias,
            operation=operation,
            since=since or now,
            until=until,
            by=options["by"],
            at=now,
            note=options["note"],
        )
        if incident is None:
            raise misuse(f"{operation} has ended.")
        begins = "now" if incident.since <= now else _format(incident.since)
        ends = "it is over" if incident.until is None else _format(incident.until)
        self.write(f"{subject}: muted from {begins} until {ends}.", options)

    def find_operation(self, alias: str, text: str | None) -> ImportOperation | None:
        """Return the import that --operation names; raises CommandError."""
        if text is None:
            return None
        rows = ImportOperation.objects.filter(workspace=alias).defer("payload")
        operation = rows.filter(remote_id=text).first()
        if operation is None and text.isascii() and text.isdigit() and len(text) < 19:
            operation = rows.filter(pk=int(text)).first()
        if operation is None:
            raise misuse(f"{alias} has no import {text!r}.")
        return operation

    def write(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"] > 0:
            self.stdout.write(text)


def _format(moment: Any) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"
