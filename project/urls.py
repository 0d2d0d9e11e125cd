"""The URLs of the project in this repository."""

from django.contrib import admin
from django.urls import include, path, reverse_lazy
from django.views.generic import RedirectView

from importmonitor.api.healthz import healthz

urlpatterns = [
    path("", RedirectView.as_view(url=reverse_lazy("admin:index"))),
    path("admin/", admin.site.urls),
    path("api/", include("importmonitor.api.rest_urls")),
    path("api/", include("importmonitor.api.openapi.urls")),
    path("healthz", healthz),
    path("", include("importmonitor.contrib.prometheus.urls")),
    path("", include("importmonitor.urls")),
]
