"""The app's configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ImportMonitorConfig(AppConfig):
    """importmonitor, with models of its own key type in whatever project it is installed."""

    name = "importmonitor"
    verbose_name = _("Import monitor")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from importmonitor import checks

        checks.register_all()
