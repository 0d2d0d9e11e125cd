"""The URLs of Rocket.Chat's endpoints."""

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
    # All of Rocket.Chat's other endpoints: otherwise Django would send an HTML page or a redirect
    # for a trailing slash, and both break Rocket.Chat's clients.
    re_path("^", responses.not_found),
]
