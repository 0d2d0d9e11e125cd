"""The endpoint, and beside it what it is measured against."""

from django.urls import include, path

from benchmarks.endpoint.others import Textbook, bare

urlpatterns = [
    path("", include("importmonitor.urls")),
    path("bare", bare),
    path("textbook", Textbook.as_view()),
]
