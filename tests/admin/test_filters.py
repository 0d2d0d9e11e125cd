"""The filters and the search of the history."""

from datetime import timedelta
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.admin import DateFieldListFilter
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.admin import filters
from importmonitor.models import EndReason, ImportOperation, Outcome
from importmonitor.rocketchat.operation import IMPORTERS
from importmonitor.rocketchat.states import ImportState
from importmonitor.sync.register import register_configured
from tests.admin.helpers import HISTORY, make_row, page, save_rows
from tests.admin.workspace_states import configure
from tests.api.helpers import NOON, workspace_at

NOON_TOMORROW = NOON + timedelta(days=1)


def matches(client: Client, **parameters: object) -> set[int]:
    """Return the keys of the rows that match a query, on all pages."""
    response = client.get(f"{HISTORY}?{urlencode(parameters)}")
    assert response.status_code == 200
    return set(response.context["cl"].queryset.values_list("pk", flat=True))


def all_combinations() -> list[ImportOperation]:
    """Save a row for every end and all counters that determine an outcome."""
    ends = ["", *EndReason.values]
    errors, totals, completed = (None, -1, 0, 1), (None, -1, 0, 10), (None, -1, 0, 9, 10, 11)
    ImportOperation.objects.bulk_create(
        make_row(number, end_reason=end, count_error=e, count_total=t, count_completed=c)
        for number, (end, e, t, c) in enumerate(product(ends, errors, totals, completed))
    )
    return list(ImportOperation.objects.all())


def test_database_computes_has_errors(db: None) -> None:
    for row in all_combinations():
        assert row.has_errors == ((row.count_error or 0) > 0)


def test_outcome_filter(root: Client) -> None:
    rows = all_combinations()
    for outcome in Outcome:
        expected = {row.pk for row in rows if row.outcome == outcome}
        assert matches(root, outcome=outcome.value) == expected
    assert matches(root, outcome="open") == {row.pk for row in rows if not row.outcome}
    assert matches(root) == {row.pk for row in rows}


def test_state_filter(root: Client) -> None:
    states = [state.value for state in ImportState if state != ImportState.NONE]
    for number, state in enumerate([*states, *states]):
        make_row(number, state=state).save()
    for state in states:
        expected = ImportOperation.objects.filter(state=state)
        assert matches(root, state=state) == set(expected.values_list("pk", flat=True))
        assert len(expected) == 2


def test_importer_filter(root: Client) -> None:
    keys = [*IMPORTERS, "an-apps-own", ""]
    rows = {}
    for number, key in enumerate(keys):
        rows[key] = make_row(number, importer_key=key)
        rows[key].save()
    for key in IMPORTERS:
        assert matches(root, importer=key) == {rows[key].pk}
    assert matches(root, importer="an-apps-own") == {rows["an-apps-own"].pk}
    assert matches(root, importer="none") == {rows[""].pk}


def configure_two(settings: Any) -> None:
    """Configure two workspaces: with one, there is no filter."""
    settings.IMPORTMONITOR = {
        "WORKSPACES": {alias: workspace_at("http://127.0.0.1:9") for alias in ("default", "acme")}
    }


def test_the_workspace_filter(root: Client, settings: Any) -> None:
    configure_two(settings)
    rows = {alias: make_row(workspace=alias) for alias in ("default", "acme")}
    for row in rows.values():
        row.save()
    for alias, row in rows.items():
        assert matches(root, workspace=alias) == {row.pk}
        assert f"?workspace={alias}" in page(root.get(HISTORY)).links


def test_workspace_filter_accepts_a_workspace_that_is_no_longer_configured(root: Client) -> None:
    rows = {alias: make_row(workspace=alias) for alias in ("default", "gone")}
    for row in rows.values():
        row.save()
    assert matches(root, workspace="gone") == {rows["gone"].pk}
    assert matches(root, workspace="never") == set()
    assert any("workspace=gone" in link for link in page(root.get(HISTORY)).links)
    rows["gone"].delete()
    # With one workspace there are no choices.
    assert not any("workspace=" in link for link in page(root.get(HISTORY)).links)


def test_part_of_a_name_gets_the_workspaces_that_it_may_mean(root: Client, settings: Any) -> None:
    configure(settings, *(f"acme-{number}" for number in range(30)), "globex")
    register_configured()
    row = make_row(workspace="globex")
    row.save()
    assert matches(root, workspace="acme") == set()
    response = root.get(f"{HISTORY}?workspace=acme&outcome=open&q=CSV")
    links = [link for link in page(response).links if "workspace=acme-" in link]
    # A workspace of recent imports that has the name too is there once.
    again = page(root.get(f"{HISTORY}?workspace=glob")).links
    assert sum("workspace=globex" in link for link in again) == 1
    # The other filters stay, in the links and in the form.
    assert len(links) == filters.MAX_CHOICES
    assert all("outcome=open" in link and "q=CSV" in link for link in links)
    form = response.content.decode().partition("im-filter-search")[2].partition("</form>")[0]
    assert '<input type="hidden" name="outcome" value="open">' in form
    assert '<input type="hidden" name="q" value="CSV">' in form
    assert '<option value="acme-0">' in form


def test_number_of_workspaces_does_not_matter_to_the_choices(root: Client, settings: Any) -> None:
    configure(settings, *(f"w{number}" for number in range(200)))
    register_configured()
    for number in range(100):
        make_row(number, workspace=f"w{number}").save()
    links = [link for link in page(root.get(HISTORY)).links if "workspace=w" in link]
    assert len(links) == filters.MAX_CHOICES


def test_filters_can_be_combined(root: Client) -> None:
    rows = all_combinations()
    expected = {row.pk for row in rows if row.outcome == Outcome.INCOMPLETE}
    assert matches(root, outcome="incomplete", state="importing", q="CSV") == expected
    assert matches(root, outcome="incomplete", state="error") == set()


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", ["outcome", "state", "importer", "workspace"])
@pytest.mark.parametrize("value", ["nonsense", "\0", "ü🎉", "x" * 2_000])
def test_unknown_value_is_no_error(root: Client, settings: Any, name: str, value: str) -> None:
    configure_two(settings)
    make_row().save()
    response = root.get(f"{HISTORY}?{urlencode({name: value})}", follow=True)
    assert response.status_code == 200


def test_start_filter_offers_ranges_up_to_now(root: Client) -> None:
    ages = {"an hour": 1 / 24, "3 days": 3, "20 days": 20, "80 days": 80, "2 years": 730}
    for number, (name, days) in enumerate(ages.items()):
        make_row(number, type=name, started_at=NOON - timedelta(days=days)).save()
    make_row(99, type="tomorrow", started_at=NOON_TOMORROW).save()
    with time_machine.travel(NOON, tick=False):
        changelist = root.get(HISTORY).context["cl"]
        [by_time] = [
            spec for spec in changelist.filter_specs if isinstance(spec, DateFieldListFilter)
        ]
        types = {}
        for choice in by_time.choices(changelist):
            response = root.get(HISTORY + str(choice["query_string"]))
            rows = response.context["cl"].queryset
            types[str(choice["display"])] = set(rows.values_list("type", flat=True))
    assert types["Any date"] == {*ages, "tomorrow"}
    assert types["Today"] == {"an hour"}
    assert types["Past 7 days"] == {"an hour", "3 days"}
    assert types["This month"] == {"an hour", "3 days", "20 days", "tomorrow"}
    assert types["This year"] == {"an hour", "3 days", "20 days", "80 days", "tomorrow"}


@pytest.mark.parametrize(("value", "counts"), [("yes", {1, 7}), ("no", {None, 0, -1})])
def test_errors_filter(root: Client, value: str, counts: set[int | None]) -> None:
    for number, count in enumerate((None, 0, -1, 1, 7)):
        make_row(number, count_error=count).save()
    rows = root.get(f"{HISTORY}?errors={value}").context["cl"].queryset
    assert set(rows.values_list("count_error", flat=True)) == counts


def test_started_by_filter_offers_the_busiest_recent_users(root: Client) -> None:
    users = [f"user{number:02d}" for number in range(30) for _ in range(30 - number)]
    ImportOperation.objects.bulk_create(
        make_row(number, remote_user_id=user) for number, user in enumerate([*users, ""])
    )
    offered = [link for link in page(root.get(HISTORY)).links if link.startswith("?started_by=")]
    assert offered == [f"?started_by=user{number:02d}" for number in range(20)]
    # Another user can be selected by the URL.
    response = root.get(f"{HISTORY}?started_by=user29")
    assert response.context["cl"].result_count == 1
    assert "?started_by=user29" in page(response).links
    assert root.get(f"{HISTORY}?started_by=unknown").context["cl"].result_count == 0


def test_started_by_filter_shows_names(root: Client) -> None:
    names = {"u1": "Ada", "u2": "Sam", "u3": "Sam", "u4": "", "u5": None}
    for number, (user, name) in enumerate(names.items()):
        make_row(number, remote_user_id=user, remote_user_name=name).save()
    # Of one that was renamed, the newest name.
    make_row(9, remote_user_id="u1", remote_user_name="Augusta").save()
    [labels] = [
        [choice["display"] for choice in spec.choices(cl)]
        for cl in [root.get(HISTORY).context["cl"]]
        for spec in cl.filter_specs
        if getattr(spec, "parameter_name", "") == "started_by"
    ]
    assert labels == ["All", "Ada", "Sam (u2)", "Sam (u3)", "u4", "u5"]


# Search.


@pytest.fixture
def rows(db: None) -> dict[str, int]:
    """Rows to search among, by their file."""
    saved = {}
    for number, (remote_id, type_, file) in enumerate(
        [
            ("7PbvsnKJD9ZAqw38C", "Slack", "export.zip"),
            ("7pbvsnkjd9zaqw38c", "CSV", "people.csv"),
            ("65f8a1c2e4b0d9a7c3f1e205", "CSV", "Leute für 100%.csv"),
            ("65f8a1c2e4b0d9a7c3f1e206", "Pending Avatars", "notes 65f8a1c2e4b0d9a7c3f1e205"),
        ]
    ):
        row = make_row(number, remote_id=remote_id, type=type_, file=file)
        row.save()
        saved[file] = row.pk
    return saved


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    ("term", "files"),
    [
        ("export", ["export.zip"]),
        ("EXPORT.zip", ["export.zip"]),
        ("csv", ["people.csv", "Leute für 100%.csv"]),
        ("avatars", ["notes 65f8a1c2e4b0d9a7c3f1e205"]),
        ("csv leute", ["Leute für 100%.csv"]),
        ("für", ["Leute für 100%.csv"]),
        ("100%", ["Leute für 100%.csv"]),
        ("_", []),
        ("nothing like it", []),
        # A complete id matches that operation alone, in exact case.
        ("7PbvsnKJD9ZAqw38C", ["export.zip"]),
        ("7pbvsnkjd9zaqw38c", ["people.csv"]),
        ("65f8a1c2e4b0d9a7c3f1e205", ["Leute für 100%.csv"]),
        ("  65f8a1c2e4b0d9a7c3f1e205 ", ["Leute für 100%.csv"]),
        ("65f8a1c2e4b0d9a7c3f1e20", ["Leute für 100%.csv", "notes 65f8a1c2e4b0d9a7c3f1e205"]),
    ],
)
def test_search_matches_ids_types_and_file_names(
    root: Client, rows: dict[str, int], term: str, files: list[str]
) -> None:
    assert matches(root, q=term) == {rows[file] for file in files}


def test_search_and_filter_can_be_combined(root: Client, rows: dict[str, int]) -> None:
    assert matches(root, q="7PbvsnKJD9ZAqw38C", outcome="done") == set()


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("term", ["\0", "%", "\\", "'", '"', "🎉", "x" * 5_000, "a b c " * 100])
def test_any_text_can_be_searched_for(root: Client, rows: dict[str, int], term: str) -> None:
    assert root.get(f"{HISTORY}?{urlencode({'q': term})}").status_code == 200


def test_search_without_a_match_runs_once(root: Client) -> None:
    save_rows(3)
    with CaptureQueriesContext(connection) as captured:
        assert page(root.get(f"{HISTORY}?q=nothing of that name")).rows == []
    searches = [query for query in captured if "nothing" in query["sql"]]
    assert len(searches) == 1
