"""The host project's settings without throttling: the fuzzer sends thousands of requests."""

from project.settings import *  # noqa: F403 - all of them, except those below

REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_RATES": {"importmonitor": None, "importmonitor_wrong_tokens": None}
}
