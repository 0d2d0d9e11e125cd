"""The line on a host's index page, by the template tag."""

from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import Client, RequestFactory

from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, page
from tests.admin.workspace_states import STANDING, configure, stand
from tests.api.helpers import NOON, make_user, sync_refused

# The line on a host's index page.


def line(user: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    made = Template("{% load importmonitor %}{% import_status %}")
    return made.render(Context({"request": request}))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("codename", "shown"),
    [("run-import", True), ("view_importoperation", True), ("view-import-operations", False)],
)
def test_the_line_is_for_those_who_may_see_imports(codename: str, shown: bool) -> None:
    assert (HISTORY in line(make_user("someone", codename, is_staff=True))) == shown


@pytest.mark.django_db
def test_the_line_is_for_nobody_else() -> None:
    assert line(AnonymousUser()).strip() == ""
    assert line(make_user("someone")).strip() == ""
    assert Template("{% load importmonitor %}{% import_status %}").render(Context({})).strip() == ""


def test_what_the_line_says(root: Client, settings: Any) -> None:
    configure(settings, *STANDING)
    index = "/admin/"
    assert "Imports : ✓ well nothing under way" in page(root.get(index)).words
    stand()
    with time_machine.travel(NOON, tick=False):
        words = page(root.get(index)).words
    assert "✕ look 3 in trouble, 2 not seen of late, 4 under way" in words


def test_who_may_not_see_imports_sees_no_line(log_in: LogIn) -> None:
    assert "Imports" not in page(log_in("view-import-operations").get("/admin/")).words


def test_where_nothing_was_seen_of_late(root: Client) -> None:
    sync_refused()
    assert "! look 1 not seen of late" in page(root.get("/admin/")).words
