"""The URLs of a host that includes the app under a prefix."""

from django.urls import include, path

urlpatterns = [path("chat/mirror/", include("importmonitor.urls"))]
