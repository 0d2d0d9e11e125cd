"""What a host needs besides this repository: packages and servers. Without them, tests skip.

BROKER_URL names a Redis server, POSTGRES_URL a PostgreSQL server, as in `.ci/run`, which also sets
HOSTS: then nothing may be missing.
"""

import importlib.util
import os

import pytest


def need(*, package: str = "", variable: str = "") -> pytest.MarkDecorator:
    """Return a mark that skips a test where a package or the URL of a server is missing."""
    missing = [
        *([package] if package and not importlib.util.find_spec(package) else []),
        *([variable] if variable and not os.environ.get(variable) else []),
    ]
    if missing and os.environ.get("HOSTS"):
        pytest.fail(f"missing: {', '.join(missing)}", pytrace=False)
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")
