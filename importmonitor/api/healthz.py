"""`/healthz`: whether this process and its database respond."""

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connections, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from importmonitor.tenancy import store_alias


@login_not_required  # for hosts with LoginRequiredMiddleware
@transaction.non_atomic_requests  # with ATOMIC_REQUESTS, Django would fail before this runs
@csrf_exempt  # so that a wrong method gets 405, not 403
@never_cache
@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """Return 200 if the database responds, else 503; public, and without any other data.

    The state of the workspaces is not part of this process's health: `/api/workspaces/` and
    `/metrics` have it.
    """
    try:
        with connections[store_alias()].cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except Error:
        return JsonResponse(
            {"status": "failing", "database": "unreachable"}, status=HTTPStatus.SERVICE_UNAVAILABLE
        )
    return JsonResponse({"status": "ok", "database": "ok"})
