"""`GET /metrics` for Prometheus; needs `importmonitor[metrics]`."""
