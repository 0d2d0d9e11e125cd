"""Keeps API tokens out of Sentry's events, in hosts that use Sentry; nothing is to be set up.

Sentry sends the headers of a request with each error and each transaction, without `Authorization`
and the like. It does not know Rocket.Chat's `X-Auth-Token`.
"""

import sentry_sdk

HEADER = "x-auth-token"


def install() -> None:
    """Have the header scrubbed, if Sentry has been initialized."""
    scrubber = sentry_sdk.get_client().options.get("event_scrubber")
    # Of the host, if it has its own.
    denylist = getattr(scrubber, "denylist", None)
    if isinstance(denylist, list) and HEADER not in denylist:
        denylist.append(HEADER)
