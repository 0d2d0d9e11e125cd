"""Rocket.Chat's endpoints, by Rocket.Chat's names."""

from django.urls import path, re_path

from importmonitor.api.rocketchat import responses, views

urlpatterns = [
    path(
        "getCurrentImportOperation",
        views.GetCurrentImportOperation.as_view(),
        name="getCurrentImportOperation",
    ),
    path("getLatestImportOperations", views.GetLatestImportOperations.as_view()),
    path("getImportProgress", views.GetImportProgress.as_view()),
    path("import.status", views.ImportStatus.as_view()),
    # Whatever else Rocket.Chat has: without this, Django would answer with an HTML page, or
    # redirect for a trailing slash, and both break Rocket.Chat's clients.
    re_path("^", responses.not_found),
]
