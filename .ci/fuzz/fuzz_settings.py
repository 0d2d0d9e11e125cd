"""The host project's settings, without a limit of calls: thousands come in a minute."""

from project.settings import *  # noqa: F403 - all of them, but for what is set below

REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_RATES": {"importmonitor": None, "importmonitor_wrong_tokens": None}
}
