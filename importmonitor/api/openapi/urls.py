"""The URLs of the description and its page; include them beside the REST API. Needs `[openapi]`."""

from django.urls import path

from importmonitor.api.openapi.views import DocsView, SchemaView

app_name = "importmonitor-openapi"
urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(url_name="importmonitor-openapi:schema"), name="docs"),
]
