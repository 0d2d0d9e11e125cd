"""The URL of the metrics; include it as `path("", include(…))`. Needs `[metrics]`."""

from django.urls import path

from importmonitor.contrib.prometheus.views import MetricsView

urlpatterns = [path("metrics", MetricsView.as_view(), name="importmonitor-metrics")]
