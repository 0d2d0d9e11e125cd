"""`manage.py noop`: what every management command of this project costs, whatever it does."""

from typing import Any

from django.core.management import BaseCommand


class Command(BaseCommand):
    help = "Do nothing."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        return
