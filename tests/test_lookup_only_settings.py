"""No request enumerates the workspaces of the settings: there may be a hundred thousand.

`WORKSPACES` is a mapping here that looks up one workspace at a time, and fails when it is walked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.test import override_settings

from importmonitor.models import Workspace
from importmonitor.sync.register import register_configured
from tests.api.helpers import workspace_at
from tests.group_sets import store_groups
from tests.test_access import METHODS, TABLE, status
from tests.users import Site, shared_site

pytestmark = pytest.mark.django_db

OPTIONS = workspace_at("http://127.0.0.1:9")
EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}


class Lookup(Mapping[str, Any]):
    """Workspaces that can be looked up, and not be listed or counted."""

    def __init__(self, **workspaces: Any) -> None:
        self._workspaces = workspaces

    def __getitem__(self, alias: str) -> Any:
        return self._workspaces[alias]

    def __contains__(self, alias: object) -> bool:
        return alias in self._workspaces

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("the workspaces were listed")

    def __len__(self) -> int:
        raise AssertionError("the workspaces were counted")

    def keys(self) -> Any:
        raise AssertionError("the workspaces were listed")


def get_workspaces() -> Lookup:
    """Return the workspaces, as the callable of a host does."""
    return Lookup(default=OPTIONS, limited=OPTIONS | {"GROUPS": ["ops"]})


CHANNELS = {"ops": EMAIL, "some": EMAIL | {"WORKSPACES": ["default", "lim*"]}}
CONFIG = {"WORKSPACES": f"{__name__}.get_workspaces", "CHANNELS": CHANNELS}


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    with shared_site(django_db_blocker) as site:
        Workspace.objects.create(alias="limited", groups=store_groups(["ops"]))
        with override_settings(IMPORTMONITOR=CONFIG):
            yield site


def test_mapping_cannot_be_enumerated(settings: Any) -> None:
    settings.IMPORTMONITOR = CONFIG
    with pytest.raises(AssertionError, match="the workspaces were listed"):
        register_configured()


@pytest.mark.thorough(one_in=25)
@pytest.mark.parametrize("route", sorted(TABLE))
def test_url_is_answered_as_with_any_mapping(site: Site, route: str) -> None:
    # All that a user may do, with and without limits.
    for name in ("superuser", "staff run-import", "token of run-import", "token of superuser"):
        for method, expected in zip(METHODS, TABLE[route].statuses(name), strict=True):
            if method in ("GET", "POST", "DELETE"):
                response = site.request(name, method, site.url(route))
                assert status(response) == expected, (name, method)


@pytest.mark.parametrize(
    "path",
    [
        *(f"/api/workspaces/?{words}" for words in ("search=d", "status=ok", "active=true")),
        "/workspaces/unknown/api/v1/getCurrentImportOperation",
        "/api/import-operations/?workspace=unknown",
    ],
)
def test_lists_and_unknown_workspaces_are_looked_up(site: Site, path: str) -> None:
    response = site.request("token of run-import", "GET", path)
    assert response.status_code in {200, 403, 404}
