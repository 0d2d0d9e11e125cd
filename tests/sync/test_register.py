"""The rows of the workspaces that the settings have."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from importmonitor import conf
from importmonitor.models import Workspace
from importmonitor.models.workspace_queries import Urgency
from importmonitor.secret import SecretMapping
from importmonitor.sync import sync_workspace
from importmonitor.sync.register import register_configured, register_workspaces
from simulator.workspace import Workspace as SimulatedWorkspace
from tests.conftest import AUTH_TOKEN, USER_ID

pytestmark = pytest.mark.django_db


def configure(settings: Any, *aliases: str, **options: Any) -> None:
    workspace = {
        "URL": "https://chat.example.org",
        "USER_ID": USER_ID,
        "AUTH_TOKEN": AUTH_TOKEN,
        **options,
    }
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, workspace)}


def configured() -> list[str]:
    rows = Workspace.objects.filter(is_configured=True).order_by("pk")
    return list(rows.values_list("alias", flat=True))


def test_rows_follow_the_settings(settings: Any) -> None:
    configure(settings, "zeta", "alpha")
    register_configured()
    assert configured() == ["zeta", "alpha"]
    Workspace.objects.filter(alias="alpha").update(message="kept")
    configure(settings, "zeta", "beta")
    register_configured()
    assert configured() == ["zeta", "beta"]
    configure(settings, "alpha", "zeta", "beta")
    register_configured()
    assert configured() == ["zeta", "alpha", "beta"]
    assert Workspace.objects.get(alias="alpha").message == "kept"


def test_removed_workspace_is_not_due(settings: Any) -> None:
    configure(settings, "a", "b")
    register_configured()
    Workspace.objects.update(due_at="2026-01-05T09:00Z")
    configure(settings, "b")
    register_configured()
    assert list(Workspace.objects.exclude(due_at=None).values_list("alias", flat=True)) == ["b"]


def test_new_row_is_limited_to_the_groups_at_once(settings: Any) -> None:
    configure(settings, "a", GROUPS=["acme-ops"])
    register_configured()
    assert Workspace.objects.get().groups


def test_unchanged_settings_cost_one_query(
    settings: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    configure(settings, *(f"w{number}" for number in range(1_200)))
    register_configured()
    assert len(configured()) == 1_200
    with django_assert_num_queries(1):
        register_workspaces(conf.get_workspaces())


def test_alias_that_cannot_be_used_gets_no_row(settings: Any) -> None:
    configure(settings, "Bad Alias", "good")
    register_configured()
    assert configured() == ["good"]


class Directory(Mapping[str, Any]):
    """Workspaces of a database, which are read one at a time."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __getitem__(self, alias: str) -> Any:
        self.read.append(alias)
        return {"URL": "https://chat.example.org", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}

    def __contains__(self, alias: object) -> bool:
        return alias in ("a", "b")

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b"))

    def __len__(self) -> int:
        return 2


def test_only_the_aliases_of_known_workspaces_are_read() -> None:
    directory = Directory()
    workspaces = conf.Workspaces(SecretMapping(directory))
    register_workspaces(workspaces)
    assert directory.read == ["a", "b"]
    register_workspaces(workspaces)
    assert directory.read == ["a", "b"]
    assert workspaces["a"].url == "https://chat.example.org"
    with pytest.raises(conf.UnknownWorkspace, match="There is no workspace 'c'"):
        workspaces["c"]


def test_poll_stores_what_lists_and_totals_are_made_from(rocketchat: SimulatedWorkspace) -> None:
    def row() -> tuple[int, str, str]:
        workspace = Workspace.objects.get()
        return workspace.urgency, workspace.import_state, workspace.import_outcome

    sync_workspace("default")
    assert row() == (Urgency.CALM, "", "")
    rocketchat.start_import("csv", ending="failed")
    sync_workspace("default")
    assert row()[::2] == (Urgency.ACTIVE, "")
    rocketchat.clock.advance(3_600)
    sync_workspace("default")
    assert row() == (Urgency.FAILED, "error", "failed")


def test_poll_that_fails_makes_a_calm_workspace_urgent(rocketchat: SimulatedWorkspace) -> None:
    sync_workspace("default")
    rocketchat.users.clear()
    sync_workspace("default")
    assert Workspace.objects.get().urgency == Urgency.FAILING
