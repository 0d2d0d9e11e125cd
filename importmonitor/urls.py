"""Rocket.Chat's endpoints; a project can include them under any prefix.

A Rocket.Chat client's base URL is that prefix for the workspace `default`, and the prefix with
`workspaces/<alias>` for any other.
"""

from django.urls import include, path

from importmonitor.api.rocketchat import responses

app_name = "importmonitor"
urlpatterns = [
    path("api/v1/", include("importmonitor.api.rocketchat.urls"), {"alias": "default"}),
    path("workspaces/<str:alias>/api/v1/", include("importmonitor.api.rocketchat.urls")),
    # Without these, Django would redirect to the same path with a slash.
    path("api/v1", responses.not_found),
    path("workspaces/<str:alias>/api/v1", responses.not_found),
]
