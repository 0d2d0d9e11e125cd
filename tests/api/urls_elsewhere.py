"""A host that has put the app's URLs under a path of its own."""

from django.urls import include, path

urlpatterns = [path("chat/mirror/", include("importmonitor.urls"))]
