"""The host project's settings, with a command that does nothing to measure others against."""

from project.settings import *  # noqa: F403 - all of them, and one app more
from project.settings import INSTALLED_APPS as HOST_APPS

INSTALLED_APPS = [*HOST_APPS, "benchmarks.noop"]
