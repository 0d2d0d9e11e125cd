"""The app's URLs, to be included wherever a host likes.

A Rocket.Chat client gets as its base URL the place where this is included, for the workspace
`default`, or that place and `workspaces/<alias>` for another.
"""

from django.urls import include, path

from importmonitor.api.rocketchat import responses

app_name = "importmonitor"
urlpatterns = [
    path("api/v1/", include("importmonitor.api.rocketchat.urls"), {"alias": "default"}),
    path("workspaces/<str:alias>/api/v1/", include("importmonitor.api.rocketchat.urls")),
    # Not Django's redirect to them with a slash.
    path("api/v1", responses.not_found),
    path("workspaces/<str:alias>/api/v1", responses.not_found),
]
