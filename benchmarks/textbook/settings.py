"""The host project's settings, with the views that the endpoint is compared with."""

from project.settings import *  # noqa: F403 - all of them, and a few more
from project.settings import INSTALLED_APPS as HOST_APPS
from project.settings import REST_FRAMEWORK as HOST_API

INSTALLED_APPS = [*HOST_APPS, "rest_framework", "rest_framework.authtoken"]
ROOT_URLCONF = "benchmarks.textbook.urls"
# As costly as any other limit, and never reached.
REST_FRAMEWORK = HOST_API | {"DEFAULT_THROTTLE_RATES": {"importmonitor": "100000000/min"}}
