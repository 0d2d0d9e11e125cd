"""What error pages and error mails hide, in addition to what Django hides."""

import os
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class ExceptionReporterFilter(SafeExceptionReporterFilter):
    """Hides the environment, which under `runserver` is part of a request's META.

    Django hides variables by their name, such as `ROCKETCHAT_AUTH_TOKEN`; `DATABASE_URL` and
    `https_proxy` contain passwords as well.
    """

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        meta: dict[str, Any] = super().get_safe_request_meta(request)
        return {
            name: self.cleansed_substitute if name in os.environ else value
            for name, value in meta.items()
        }
