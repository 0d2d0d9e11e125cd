"""Errors of the REST face: problem details (RFC 9457) that hold to DRF's convention.

Both say in `detail` what was wrong. What was wrong with which parameter is in `errors`.
"""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import ParseError
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

MEDIA_TYPE = "application/problem+json"


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception as DRF does, told as a problem; None for what is none of the caller's."""
    if isinstance(exc, SuspiciousOperation):
        # Such as more parameters than Django reads.
        exc = ParseError()
    response = drf_exception_handler(exc, context)
    if response is None:
        return None
    data = response.data
    told = data.pop("detail", None) if isinstance(data, dict) else None
    response.data = problem(response.status_code, str(told or _summary(data)))
    if data:
        response.data["errors"] = data
    response.content_type = MEDIA_TYPE
    return response


def problem(status: int, detail: str) -> dict[str, Any]:
    """Return the body of a problem."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}


@csrf_exempt
def not_found(_request: HttpRequest, **_kwargs: Any) -> JsonResponse:
    """Answer an address of the REST face that there is not."""
    body = problem(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
    return JsonResponse(body, status=HTTPStatus.NOT_FOUND, content_type=MEDIA_TYPE)


def _summary(data: Any) -> str:
    """Put into one sentence which parameters were wrong, and how."""
    if not isinstance(data, dict):
        return " ".join(map(str, data)) if isinstance(data, list) else str(data)
    return " ".join(f"{name}: {' '.join(map(str, told))}" for name, told in data.items())
