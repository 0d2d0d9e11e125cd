"""The app's configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ImportMonitorConfig(AppConfig):
    name = "importmonitor"
    verbose_name = _("Import monitor")
    # Independent of the project's DEFAULT_AUTO_FIELD, so that no migration is missing.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from importmonitor import checks

        checks.register_all()
