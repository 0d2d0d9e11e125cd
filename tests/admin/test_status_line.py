"""The template tag's line on a host's index page."""

from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import Client, RequestFactory

from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, page
from tests.admin.workspace_states import STATES, configure, save_states
from tests.api.helpers import NOON, make_user, sync_refused


def line(user: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    template = Template("{% load importmonitor %}{% import_status %}")
    return template.render(Context({"request": request}))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("codename", "shown"),
    [("run-import", True), ("view_importoperation", True), ("view-import-operations", False)],
)
def test_line_is_shown_to_users_who_can_see_the_history(codename: str, shown: bool) -> None:
    assert (HISTORY in line(make_user("someone", codename, is_staff=True))) == shown


@pytest.mark.django_db
def test_line_is_empty_for_other_users() -> None:
    assert line(AnonymousUser()).strip() == ""
    assert line(make_user("someone")).strip() == ""
    assert Template("{% load importmonitor %}{% import_status %}").render(Context({})).strip() == ""


def test_line_counts_workspaces_by_state(root: Client, settings: Any) -> None:
    configure(settings, *STATES)
    index = "/admin/"
    assert (
        "Imports : ○ Never synced Run manage.py sync_import_status" in page(root.get(index)).words
    )
    save_states()
    with time_machine.travel(NOON, tick=False):
        words = page(root.get(index)).words
    assert "✕ Critical 3 failed or stalled, 2 not polled recently, 1 running" in words


def test_index_has_no_line_for_users_who_cannot_see_imports(log_in: LogIn) -> None:
    assert "Imports" not in page(log_in("view-import-operations").get("/admin/")).words


def test_line_warns_of_workspaces_that_were_not_polled(root: Client) -> None:
    sync_refused()
    assert "! Warning 1 not polled recently" in page(root.get("/admin/")).words
