"""The app's configuration."""

import sys

from django.apps import AppConfig
from django.core.signals import request_started
from django.utils.translation import gettext_lazy as _


class ImportMonitorConfig(AppConfig):
    name = "importmonitor"
    verbose_name = _("Import monitor")
    # Independent of the project's DEFAULT_AUTO_FIELD, so that no migration is missing.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from importmonitor import checks, secret

        checks.register_all()
        request_started.connect(secret.hide_credentials)
        # Sentry is initialized in the host's settings. Not imported otherwise: it takes long.
        if "sentry_sdk" in sys.modules:
            from importmonitor.contrib import sentry

            sentry.install()
