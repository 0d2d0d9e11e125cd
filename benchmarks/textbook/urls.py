"""The endpoint, and the views that it is compared with."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from rest_framework.authentication import TokenAuthentication
from rest_framework.generics import RetrieveAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from importmonitor.models import ImportOperation

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _ModelSerializer = ModelSerializer[ImportOperation]
    _RetrieveAPIView = RetrieveAPIView[ImportOperation]
else:
    _ModelSerializer, _RetrieveAPIView = ModelSerializer, RetrieveAPIView

#: The endpoint's body, in a file that does not exist while the database is prepared.
body = json.loads(Path(os.environ.get("ENDPOINT_BODY", os.devnull)).read_text() or "null")


def bare(_request: HttpRequest) -> JsonResponse:
    """Return the endpoint's body without any work."""
    return JsonResponse(body)


class CanRunImport(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("importmonitor.run-import")


class OperationSerializer(_ModelSerializer):
    class Meta:
        model = ImportOperation
        # What Rocket.Chat reports of an operation, and no more.
        fields = (
            "remote_id",
            "type",
            "importer_key",
            "remote_started_at",
            "status",
            "valid",
            "remote_user_id",
            "remote_updated_at",
            "file",
            "content_type",
            "count_total",
            "count_completed",
            "count_error",
            "count_users",
            "count_channels",
            "count_messages",
        )


class TextbookView(_RetrieveAPIView):
    """The newest operation, as DRF's tutorial would write it."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (CanRunImport,)
    serializer_class = OperationSerializer

    def get_object(self) -> ImportOperation:
        return ImportOperation.objects.filter(workspace="default").latest("started_at")


urlpatterns = [
    path("", include("importmonitor.urls")),
    path("bare", bare),
    path("textbook", TextbookView.as_view()),
]
