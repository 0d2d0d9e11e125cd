"""The address of the metrics, to be included wherever a host likes."""

from django.urls import path

from importmonitor.contrib.prometheus.views import MetricsView

urlpatterns = [path("metrics", MetricsView.as_view(), name="importmonitor-metrics")]
