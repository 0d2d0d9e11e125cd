"""The fixtures of all tests of the remote side."""

import os
from pathlib import Path

import pytest

from importmonitor.rocketchat import client
from tests.remote.certificates import make_certificate


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's proxies and CA bundles, and shorten the pauses between attempts."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setattr(client, "BACKOFF", 0.01)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, alone and with its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))
