"""DRF's defaults for our views, whatever a host has set in REST_FRAMEWORK for its own API.

The host's authenticators, proxies (`NUM_PROXIES`) and throttle rates do apply to our views.
"""

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.settings import DEFAULTS, IMPORT_STRINGS, APISettings

SETTINGS = APISettings(
    {"EXCEPTION_HANDLER": "importmonitor.api.rest.exceptions.exception_handler"},
    DEFAULTS,
    IMPORT_STRINGS,
)


class ContentNegotiation(DefaultContentNegotiation):
    """Negotiates by `Accept` and `?format=`."""

    settings: Any = SETTINGS


class CompactJSONRenderer(JSONRenderer):
    """Renders JSON without spaces and without escapes."""

    compact = True
    ensure_ascii = False
    strict = True
