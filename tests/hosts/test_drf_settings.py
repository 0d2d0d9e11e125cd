"""A host whose REST_FRAMEWORK setting is for its own API: ours must not change with it."""

import json
from typing import Any

import pytest
from rest_framework.settings import DEFAULTS

from tests.hosts.drf_settings import CASES
from tests.hosts.project import run_module

#: The host's authenticators are accepted (docs/api.md), and its proxies and rates respected.
RESPECTED = {"DEFAULT_AUTHENTICATION_CLASSES", "NUM_PROXIES"}
#: Of forms and input that the APIs do not have.
WITHOUT_USE = {"DATE_INPUT_FORMATS", "TIME_INPUT_FORMATS", "HTML_SELECT_CUTOFF_TEXT"}


def test_every_setting_of_drf_has_a_case() -> None:
    covered = {name for case in CASES.values() for name in case}
    assert set(DEFAULTS) - covered <= RESPECTED | WITHOUT_USE


@pytest.mark.long
def test_no_setting_of_the_host_changes_a_response() -> None:
    output = run_module("tests.hosts.drf_settings", "--one-by-one")
    responses: dict[str, dict[str, list[Any]]] = json.loads(output)
    expected = responses.pop("defaults")
    statuses = {response[0] for response in expected.values()}
    assert statuses == {200, 302, 400, 401, 403, 404, 405, 406}
    changes = {
        f"{case}: {request}": (expected[request], response)
        for case, received in responses.items()
        for request, response in received.items()
        if response != expected[request]
    }
    assert changes == {}, list(changes)
