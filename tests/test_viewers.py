"""What a viewer may see, by the groups of the settings and of the workspaces' rows."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from importmonitor.models import Alert, ApiToken, ImportOperation, Viewer, Workspace, viewers
from importmonitor.sync.register import register_configured
from tests.admin.helpers import make_row
from tests.api.helpers import EVERYTHING, make_user, workspace_at
from tests.group_sets import store_groups

pytestmark = pytest.mark.django_db


def configure(settings: Any, **groups: object) -> None:
    """Configure workspaces by their GROUPS; None for none."""
    options = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            alias: options if names is None else {**options, "GROUPS": names}
            for alias, names in groups.items()
        }
    }


def save(alias: str, *names: str, limited: bool = True) -> None:
    """Save the row of a workspace, and an operation of it."""
    make_row(workspace=alias, remote_id=alias).save()
    Workspace.objects.create(alias=alias, groups=store_groups(names) if limited else None)


def viewer_in(*names: str) -> Viewer:
    user = make_user("-".join(names)[:150] or "none")
    user.groups.set(Group.objects.bulk_create(Group(name=name) for name in names))
    return Viewer(user)


def visible(viewer: Viewer) -> set[str]:
    """Return the workspaces of the operations that the database lets a viewer see."""
    return set(ImportOperation.objects.visible_to(viewer).values_list("workspace", flat=True))


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("ops", ["Ops", "OPS", "op", "ops ", "xops", "o%", "o_s", "%", "_", "ops|", "|", ""]),
        ("%", ["x", "ops"]),
        ("a|b", ["a", "b", "|"]),
        ("größe 🎉", ["GRÖSSE 🎉", "größe"]),
    ],
)
def test_only_the_same_name_is_a_match(settings: Any, name: str, others: list[str]) -> None:
    save("mine", name, "unrelated")
    for number, other in enumerate(others):
        save(f"other-{number}", other)
    viewer = viewer_in(name)
    assert visible(viewer) == {"mine"}
    configure(settings, mine=[name, "unrelated"], other=[other for other in others if other])
    assert viewer.may_see("mine")
    assert not viewer.may_see("other")


def test_workspaces_without_groups_are_for_all_and_with_an_empty_list_for_superusers(
    settings: Any,
) -> None:
    save("open", limited=False)
    save("closed")
    configure(settings, open=None, closed=[])
    assert visible(viewer_in("ops")) == visible(viewer_in()) == {"open"}
    assert visible(EVERYTHING) == {"open", "closed"}
    for viewer, aliases in ((viewer_in("x"), ["open"]), (EVERYTHING, ["open", "closed"])):
        assert [row.alias for row in viewer.workspaces().order_by("pk")] == aliases
        assert [alias for alias in ("open", "closed") if viewer.may_see(alias)] == aliases


def test_inactive_superuser_is_none(settings: Any) -> None:
    save("closed")
    user = make_user("gone", is_superuser=True, is_active=False)
    assert visible(Viewer(user)) == set()


@pytest.mark.parametrize("user", [None, AnonymousUser(), SimpleNamespace(is_active=True)])
def test_user_without_groups_is_a_member_of_none(settings: Any, user: object) -> None:
    save("limited", "ops")
    save("open", limited=False)
    assert visible(Viewer(user)) == {"open"}


@pytest.mark.long
def test_user_can_be_in_thousands_of_groups() -> None:
    """SQLite limits the depth of an expression to 1,000."""
    names = [f"group {number}" for number in range(2_500)]
    save("mine", names[1500])
    save("other", "ops")
    save("closed")
    viewer = viewer_in(*names)
    assert visible(viewer) == {"mine"}
    Workspace.objects.filter(alias="other").update(groups=store_groups(names))
    assert visible(Viewer(User.objects.get())) == {"mine", "other"}


@pytest.mark.parametrize("mistake", ["ops", {"ops": 1}, ["ops", 3], 3, False, ""])
def test_mistake_in_the_groups_is_for_superusers_alone(settings: Any, mistake: object) -> None:
    configure(settings, limited=mistake)
    assert not viewer_in("ops").may_see("limited")
    register_configured()
    assert not viewer_in("x").workspaces().exists()
    assert EVERYTHING.may_see("limited")


def test_changed_groups_hold_at_once_for_one_workspace(settings: Any) -> None:
    save("default", "ops")
    viewer = viewer_in("ops")
    configure(settings, default=["ops"])
    assert (viewer.may_see("default"), viewer.is_refused("default")) == (True, False)
    configure(settings, default=["others"])
    assert (viewer.may_see("default"), viewer.is_refused("default")) == (False, True)
    # Its row decides about one that is no longer configured.
    configure(settings)
    assert (viewer.may_see("default"), viewer.is_refused("default")) == (False, False)
    assert visible(viewer) == {"default"}


def test_token_is_limited_to_its_workspaces_and_to_those_of_its_user(settings: Any) -> None:
    for alias, names in (("a", ["ops"]), ("b", ["ops"]), ("c", ["others"])):
        save(alias, *names)
    configure(settings, a=["ops"], b=["ops"], c=["others"])
    user = make_user("ada")
    user.groups.add(Group.objects.create(name="ops"))
    token, _text = ApiToken.objects.issue(user, workspaces=["c", "b", "b", "gone"])
    assert token.workspaces == ["b", "c", "gone"]
    viewer = Viewer(user, token)
    assert visible(viewer) == {"b"}
    assert [row.alias for row in viewer.workspaces()] == ["b"]
    assert [alias for alias in "abc" if viewer.may_see(alias)] == ["b"]
    root, _text = ApiToken.objects.issue(make_user("root", is_superuser=True), workspaces=["c"])
    assert visible(Viewer(root.user, root)) == {"c"}
    assert [row.alias for row in Viewer(root.user, root).workspaces()] == ["c"]
    nothing, _text = ApiToken.objects.issue(root.user, workspaces=[])
    assert visible(Viewer(root.user, nothing)) == set()
    assert not Viewer(root.user, nothing).workspaces().exists()


def test_aliases_are_filtered_as_one_by_one(settings: Any) -> None:
    configure(settings, a=["ops"], b=["others"], c=None, d=3)
    aliases = ["a", "b", "c", "d", "gone"]
    user = make_user("ada")
    user.groups.add(Group.objects.create(name="ops"))
    token, _text = ApiToken.objects.issue(user, workspaces=["a", "b"])
    for viewer, expected in (
        (Viewer(user), {"a", "c"}),
        (Viewer(user, token), {"a"}),
        (EVERYTHING, {"a", "b", "c", "d"}),
    ):
        assert viewer.filter_aliases(aliases) == expected
        assert {alias for alias in aliases if viewer.may_see(alias)} == expected


@pytest.mark.parametrize(
    ("pattern", "is_shown"),
    [
        *((pattern, True) for pattern in ("*", "eu-a", "eu-*", "*-a", "e?-a", "[!x]u-a", "*")),
        *((pattern, False) for pattern in ("eu", "us-a", "us-*", "*-b", "e?", "[x]u-a", "gone")),
    ],
)
def test_channels_are_shown_by_the_patterns_that_match_a_visible_workspace(
    settings: Any, pattern: str, is_shown: bool
) -> None:
    save("eu-a", "ops")
    save("us-a", "others")
    save("eu-b", "others")
    Workspace.objects.create(alias="gone", is_configured=False)
    email = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["a@example.org"]}
    settings.IMPORTMONITOR = {"CHANNELS": {"x": email | {"WORKSPACES": [pattern]}}}
    assert bool(viewer_in("ops").visible_channels()) == is_shown
    assert EVERYTHING.visible_channels()


def test_workspaces_without_groups_cost_no_query(
    settings: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    save("default", limited=False)
    configure(settings, default=None, limited=["ops"])
    viewer = Viewer(User.objects.get(pk=make_user("ada").pk))
    with django_assert_num_queries(0):
        assert viewer.may_see("default")
        assert not viewer.is_refused("default")
    with django_assert_num_queries(1):
        assert not viewer.may_see("limited")
        assert not viewer.may_see("limited")


@pytest.mark.parametrize("few", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("names", [(), ("a",), ("b",), ("a", "b"), ("c",), ("x",)])
def test_many_workspaces_are_hidden_as_few_are(
    monkeypatch: pytest.MonkeyPatch, few: int, names: tuple[str, ...]
) -> None:
    """By the keys or the aliases of few, or by conditions on many."""
    monkeypatch.setattr(viewers, "_FEW", few)
    sets = {"w1": {"a"}, "w2": {"a", "b"}, "w3": {"b"}, "w4": {"b", "c"}, "w5": {"c"}, "w6": set()}
    for alias, groups in sets.items():
        save(alias, *groups)
    save("open", limited=False)
    Workspace.objects.create(alias="unknown", groups="")
    make_row(workspace="unknown", remote_id="unknown").save()
    Alert.objects.create(
        event="digest", workspace="", channel="ops", body={}, created_at=timezone.now(), key="x"
    )
    expected = {"open"} | {alias for alias, groups in sets.items() if groups.intersection(names)}
    viewer = viewer_in(*names)
    assert visible(viewer) == expected
    assert {row.alias for row in viewer.workspaces()} == expected
    assert {row.alias for row in viewer.hidden_workspaces()} == {*sets, "unknown"} - expected
    # A digest is about all workspaces.
    assert not Alert.objects.visible_to(viewer).exists()
    Workspace.objects.exclude(alias__in=expected).delete()
    assert Alert.objects.visible_to(Viewer(User.objects.get())).exists()


def test_lists_are_filtered_by_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the workspace's alias, for each row."""
    if connection.vendor != "sqlite":
        pytest.skip("the plan of SQLite")
    monkeypatch.setattr(viewers, "_FEW", 0)
    save("mine", "ops")
    save("other", "others")
    plan = ImportOperation.objects.visible_to(viewer_in("ops")).newest_first()[:50].explain()
    assert "SEARCH U0 USING " in plan
    assert "SCAN U0" not in plan
