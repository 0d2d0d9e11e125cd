"""Rocket.Chat's endpoints, by Rocket.Chat's names."""

from django.urls import path, re_path

from importmonitor.api import rocketchat, wire

urlpatterns = [
    path(
        "getCurrentImportOperation",
        rocketchat.GetCurrentImportOperation.as_view(),
        name="getCurrentImportOperation",
    ),
    path("getLatestImportOperations", rocketchat.GetLatestImportOperations.as_view()),
    path("getImportProgress", rocketchat.GetImportProgress.as_view()),
    path("import.status", rocketchat.ImportStatus.as_view()),
    # Whatever else Rocket.Chat has: without this, Django would answer with an HTML page, or
    # redirect for a trailing slash, and both break Rocket.Chat's clients.
    re_path("^", wire.not_found),
]
