"""What stands above the history: cards, problems, and the imports of each week."""

from typing import Any

import time_machine
from django.test import Client
from django.utils import timezone

from importmonitor.admin import dashboard
from tests.admin.helpers import HISTORY, make_row, page
from tests.admin.workspace_states import HEALTH, STANDING, configure, polled_ago, stand
from tests.api.helpers import NOON, workspace_at

# Cards.


def test_those_in_trouble_come_first(root: Client, settings: Any) -> None:
    # By the settings, they would come in the opposite order.
    configure(settings, "new", *reversed(STANDING))
    stand()
    with time_machine.travel(NOON, tick=False):
        response = root.get(HISTORY)
    cards = response.context["cards"]
    order = [card["workspace"].alias for card in cards]
    ranks = [
        {"failed", "interrupted", "stalled"},
        {"unreachable", "late"},
        {"running"},
        {"new", "done", "superseded"},
    ]
    for rank in ranks:
        assert set(order[: len(rank)]) == rank
        del order[: len(rank)]
    alarming = {card["workspace"].alias for card in cards if card.get("alarming")}
    assert alarming == ranks[0]
    assert response.content.count(b"im-alarm") == 3


def test_alike_they_keep_the_order_of_the_settings(root: Client, settings: Any) -> None:
    configure(settings, "b", "c", "a")
    shown = root.get(HISTORY).context["cards"]
    assert [card["workspace"].alias for card in shown] == ["b", "c", "a"]


def test_more_than_a_page_holds_are_told(root: Client, settings: Any) -> None:
    aliases = [f"w{number:02d}" for number in range(30)]
    configure(settings, *aliases)
    for number, alias in enumerate(aliases):
        in_trouble = number % 2 == 0
        polled_ago(alias, at=timezone.now())
        make_row(number, workspace=alias, **STANDING["failed" if in_trouble else "done"]).save()
    response = root.get(HISTORY)
    assert len(response.context["cards"]) == dashboard.MOST_CARDS
    assert all(card["alarming"] for card in response.context["cards"])
    assert (
        "and 18 more workspaces, 3 of them not as they should be: Sync health"
        in page(response).words
    )
    assert HEALTH in page(response).links
    # One of them alone, by the filter.
    [card] = root.get(f"{HISTORY}?workspace=w29").context["cards"]
    assert card["workspace"].alias == "w29"


def test_one_more_is_told_in_the_singular(root: Client, settings: Any) -> None:
    configure(settings, *[f"w{number:02d}" for number in range(13)])
    words = page(root.get(HISTORY)).words
    assert "and 1 more workspace: Sync health" in words


def test_problems_of_the_settings_are_shown(root: Client, settings: Any) -> None:
    good = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {
        "WORKSPACES": {"good": good, "bad": {**good, "TIMEOUT": "<b>soon</b>"}},
        "STALLD_AFTER": 3,
    }
    response = root.get(HISTORY)
    words = page(response).words
    assert "STALLD_AFTER" in words
    assert "TIMEOUT" in words
    assert b"<b>soon" not in response.content
    assert good["AUTH_TOKEN"] not in words
    # What can be looked at is shown nevertheless.
    assert "good never looked at" in " ".join(words.replace("○", "").split())
