"""`/healthz`: whether this process answers, and its database."""

from http import HTTPStatus

from django.db import Error, connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe


@transaction.non_atomic_requests  # where each request has one, it would fail before this is asked
@csrf_exempt  # so that a wrong method is told as such, and not as a forged form
@never_cache
@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database answers, else 503; to everybody, and with nothing else in it.

    Whether the workspaces can be looked at is no matter of this process's health, and told by
    `/api/workspaces/` and `/metrics`.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except Error:
        return JsonResponse(
            {"status": "failing", "database": "unreachable"}, status=HTTPStatus.SERVICE_UNAVAILABLE
        )
    return JsonResponse({"status": "ok", "database": "ok"})
