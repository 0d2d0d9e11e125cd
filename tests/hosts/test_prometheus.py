"""A host that serves its own metrics by django-prometheus, whose path is also /metrics."""

import importlib
from types import ModuleType
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import include, path

from tests.api.helpers import RUNNING, credentials, make_user, sync
from tests.docs.test_docs import code_block

pytest.importorskip("django_prometheus")


@pytest.mark.django_db
def test_documented_urls_serve_both(settings: Any) -> None:
    urls: Any = ModuleType("urls")
    urls.urlpatterns = []
    names = {"urlpatterns": urls.urlpatterns, "path": path, "include": include}
    exec(code_block("django_prometheus.urls"), names)
    settings.ROOT_URLCONF = urls
    settings.INSTALLED_APPS = ["django_prometheus", *settings.INSTALLED_APPS]
    middleware = importlib.import_module("django_prometheus.middleware").__name__
    sync(RUNNING)
    headers = credentials(make_user("prometheus", "view-import-operations"))
    with override_settings(
        MIDDLEWARE=[
            f"{middleware}.PrometheusBeforeMiddleware",
            *settings.MIDDLEWARE,
            f"{middleware}.PrometheusAfterMiddleware",
        ]
    ):
        host = Client().get("/metrics")
        ours = Client().get("/imports/metrics", headers=headers)
    assert "django_http_requests_before_middlewares_total" in host.text
    assert "importmonitor_workspace_up" in ours.text
    assert "importmonitor_" not in host.text
    assert "django_" not in ours.text
