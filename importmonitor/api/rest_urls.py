"""The URLs of the REST API; include them as `path("api/", include(…))`. Needs `[rest]`."""

from django.urls import path

from importmonitor.api.rest import exceptions, incidents, views

app_name = "importmonitor-rest"
urlpatterns = [
    path("import-operations/", views.OperationList.as_view(), name="operation-list"),
    path("import-operations/<int:pk>/", views.OperationDetail.as_view(), name="operation-detail"),
    path(
        "import-operations/<int:pk>/transitions/",
        views.TransitionList.as_view(),
        name="transition-list",
    ),
    path("import-operations/<int:pk>/samples/", views.SampleList.as_view(), name="sample-list"),
    # Otherwise a program would get the site's HTML page.
    path("import-operations/<path:rest>/", exceptions.not_found),
    path("workspaces/", views.WorkspaceList.as_view(), name="workspace-list"),
    path(
        "workspaces/<str:alias>/maintenance/",
        incidents.WorkspaceMaintenance.as_view(),
        name="workspace-maintenance",
    ),
    path("workspaces/<path:rest>/", exceptions.not_found),
    path("incidents/", incidents.IncidentList.as_view(), name="incident-list"),
    path("incidents/<int:pk>/", incidents.IncidentDetail.as_view(), name="incident-detail"),
    path(
        "incidents/<int:pk>/acknowledge/",
        incidents.IncidentAcknowledge.as_view(),
        name="incident-acknowledge",
    ),
    path("incidents/<path:rest>/", exceptions.not_found),
]
