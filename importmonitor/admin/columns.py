"""What columns of the history show: records by kind."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from importmonitor.admin import display
from importmonitor.models import ImportOperation


@admin.display(description=_("users"))
def users(operation: ImportOperation) -> str:
    return display.format_count(operation.count_users)


@admin.display(description=_("channels"))
def channels(operation: ImportOperation) -> str:
    return display.format_count(operation.count_channels)


@admin.display(description=_("messages"))
def messages(operation: ImportOperation) -> str:
    return display.format_count(operation.count_messages)
