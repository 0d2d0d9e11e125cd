"""Errors of the REST API: problem details (RFC 9457) that keep DRF's `detail`.

`errors` lists what is wrong with each parameter.
"""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import ParseError
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

MEDIA_TYPE = "application/problem+json"


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return DRF's response as a problem, or None if the error is not the client's."""
    if isinstance(exc, SuspiciousOperation):
        # For example, more parameters than Django reads.
        exc = ParseError()
    response = drf_exception_handler(exc, context)
    if response is None:
        return None
    data = response.data
    detail = data.pop("detail", None) if isinstance(data, dict) else None
    response.data = problem(response.status_code, str(detail or _summary(data)))
    if data:
        response.data["errors"] = data
    response.content_type = MEDIA_TYPE
    return response


def problem(status: int, detail: str) -> dict[str, Any]:
    """Return the body of a problem."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}


@login_not_required  # as DRF marks its own views: an error is no redirect to a page
@csrf_exempt
def not_found(_request: HttpRequest, **_kwargs: Any) -> JsonResponse:
    """Return a 404 for an unknown URL of the REST API."""
    body = problem(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
    return JsonResponse(body, status=HTTPStatus.NOT_FOUND, content_type=MEDIA_TYPE)


def _summary(data: Any) -> str:
    """Return in one sentence what is wrong with which parameters."""
    if not isinstance(data, dict):
        return " ".join(map(str, data)) if isinstance(data, list) else str(data)
    return " ".join(f"{name}: {' '.join(map(str, errors))}" for name, errors in data.items())
