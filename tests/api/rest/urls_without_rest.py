"""The URLs of a host with Rocket.Chat's endpoints and the document, without the REST API."""

from django.urls import include, path

urlpatterns = [
    path("api/", include("importmonitor.api.openapi.urls")),
    path("", include("importmonitor.urls")),
]
