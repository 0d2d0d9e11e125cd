"""The chips above the list: the outcomes with their counts, and the filters in use."""

from typing import Any

import pytest
from django.test import Client

from importmonitor.admin import chips
from importmonitor.models import Outcome
from tests.admin.helpers import HISTORY, make_row, page
from tests.admin.workspace_states import configure


def counts(client: Client, query: str = "") -> dict[str, str]:
    return {str(chip.label): chip.total for chip in client.get(HISTORY + query).context["chips"]}


@pytest.fixture
def rows(settings: Any, db: None) -> None:
    configure(settings, "default", "acme")
    ends = ["", "failed", "failed", "done", "done", "done"]
    for number, end in enumerate(ends):
        state = "error" if end else "importing"
        alias = ("acme", "default")[number % 2]
        make_row(number, end_reason=end, state=state, workspace=alias).save()


@pytest.mark.usefixtures("rows")
def test_chips_count_the_imports_of_each_outcome(root: Client) -> None:
    assert counts(root) == {"All": "6", "Running": "1", "Done": "3", "Failed": "2"}
    assert counts(root, "?workspace=acme") == {
        "All": "3",
        "Running": "1",
        "Done": "1",
        "Failed": "1",
    }
    # The selected one is shown, though no import has it.
    assert counts(root, "?outcome=canceled")["Canceled"] == "0"


@pytest.mark.usefixtures("rows")
def test_chip_leads_to_as_many_imports_as_it_says(root: Client) -> None:
    for query in ("", "?workspace=default"):
        for chip in root.get(HISTORY + query).context["chips"]:
            result = root.get(HISTORY + str(chip.href)).context["cl"]
            assert str(result.result_count) == chip.total, chip


@pytest.mark.usefixtures("rows")
def test_chips_have_no_counts_among_other_filters(root: Client) -> None:
    for query in ("?importer=csv", "?q=csv", "?errors=no&outcome=done"):
        assert set(counts(root, query).values()) == {""}


@pytest.mark.usefixtures("rows")
def test_many_imports_are_not_counted_to_the_end(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chips, "MAX_COUNT", 2)
    assert counts(root) == {"All": "2+", "Running": "1", "Done": "2+", "Failed": "2"}


def test_every_outcome_has_a_chip() -> None:
    assert chips.BADGES.keys() == {"open", *Outcome.values}


@pytest.mark.usefixtures("rows")
def test_filters_in_use_are_shown_and_can_be_removed(root: Client) -> None:
    response = root.get(
        f"{HISTORY}?importer=csv&outcome=done&started_at__gte=2026-03-23+00:00:00%2B00:00"
        "&started_at__lt=2026-03-30+00:00:00%2B00:00"
    )
    shown = [(str(chip.title), chip.value) for chip in response.context["active_filters"]]
    assert shown == [("importer", "CSV"), ("started", "23 Mar – 29 Mar")]
    by_importer, by_time = (chip.href for chip in response.context["active_filters"])
    assert "importer" not in by_importer
    assert "started_at__lt" in by_importer
    assert by_time == "?importer=csv&outcome=done"
    assert "Clear all filters" in page(response).words
    assert "Clear all filters" not in page(root.get(HISTORY)).words
