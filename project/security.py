"""The Content-Security-Policy of every page."""

from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

#: Django 6.0 and later have SECURE_CSP and a middleware for it; this one also works with 5.2.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    # `data:` for Swagger UI's icons.
    "img-src 'self' data:; "
    # For pages that refresh themselves, and “Try it out” on the page of the API.
    "connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """Sets the policy, except on responses that have one."""

    def process_response(
        self, _request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        # As Django's does: its pages about errors, with DEBUG, have inline scripts.
        is_debug_page = settings.DEBUG and response.status_code in {
            HTTPStatus.NOT_FOUND,
            HTTPStatus.INTERNAL_SERVER_ERROR,
        }
        if not is_debug_page:
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
