"""The dashboard above the history: the workspaces' cards, and problems of the settings."""

from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from importmonitor.admin import dashboard
from importmonitor.models import Workspace, fleet
from importmonitor.sync.register import register_configured
from tests.admin.helpers import HISTORY, make_row, page
from tests.admin.workspace_states import STATES, WORKSPACES, configure, save_period, save_states
from tests.api.helpers import NOON, workspace_at


def test_cards_are_sorted_by_urgency(
    root: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MAX_CARDS", 12)
    # The settings have the opposite order.
    configure(settings, "new", *reversed(STATES))
    register_configured()
    save_states()
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
    critical = {card["workspace"].alias for card in cards if card.get("needs_attention")}
    assert critical == ranks[0]
    assert response.content.count(b"im-critical") == 3


def test_equally_urgent_cards_keep_the_order_of_the_settings(root: Client, settings: Any) -> None:
    configure(settings, "b", "c", "a")
    register_configured()
    shown = root.get(HISTORY).context["cards"]
    assert [card["workspace"].alias for card in shown] == ["b", "c", "a"]


def test_workspaces_beyond_the_cards_are_counted(root: Client, settings: Any) -> None:
    aliases = [f"w{number:02d}" for number in range(30)]
    configure(settings, *aliases)
    for number, alias in enumerate(aliases):
        is_failed = number % 2 == 0
        operation = make_row(number, workspace=alias, **STATES["failed" if is_failed else "done"])
        operation.save()
        save_period(alias, last_at=timezone.now(), operation=operation)
    response = root.get(HISTORY)
    assert len(response.context["cards"]) == dashboard.MAX_CARDS
    assert all(card["needs_attention"] for card in response.context["cards"])
    assert "and 26 more workspaces, 11 with problems: Workspaces" in page(response).words
    assert WORKSPACES in page(response).links
    # The filter shows one of them.
    [card] = root.get(f"{HISTORY}?workspace=w29").context["cards"]
    assert card["workspace"].alias == "w29"


def test_one_workspace_beyond_the_cards_is_counted_in_the_singular(
    root: Client, settings: Any
) -> None:
    configure(settings, *[f"w{number:02d}" for number in range(5)])
    words = page(root.get(HISTORY)).words
    assert "and 1 more workspace: Workspaces" in words


def test_problems_of_the_settings_are_shown_as_text_without_secrets(
    root: Client, settings: Any
) -> None:
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
    # The valid workspace is still shown.
    assert "good Run manage.py sync_import_status, or press Sync now. ○ Never synced" in words


def test_counts_beyond_the_limit_are_not_exact(root: Client, settings: Any) -> None:
    aliases = [f"w{number}" for number in range(fleet.MAX_COUNT + 1)]
    configure(settings, *aliases)
    register_configured()
    assert "and 1,000+ more workspaces" in page(root.get(HISTORY)).words
    Workspace.objects.filter(alias__in=aliases[:3]).update(is_configured=False)
    # 998, of which four have a card.
    assert "and 994 more workspaces" in page(root.get(HISTORY)).words
