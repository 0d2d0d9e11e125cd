"""A host that mounts Rocket.Chat's face and the document, and no REST face."""

from django.urls import include, path

urlpatterns = [
    path("api/", include("importmonitor.api.openapi.urls")),
    path("", include("importmonitor.urls")),
]
