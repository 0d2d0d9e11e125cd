"""A host with django-grappelli: small buttons, narrow boxes around values, and no spaces."""

import copy
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.urls import include, path
from django.utils import timezone

import project.urls
from importmonitor.models import ApiToken, ImportOperation, Workspace
from tests.admin.helpers import change_url, save_rows
from tests.admin.test_alerts_page import make_alert
from tests.browser.browser_page import ALERTS, HISTORY, IN_CHROMIUM, TOKENS, WORKSPACES
from tests.browser.conftest import OpenBrowser
from tests.hosts.rows import save_running_operation

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("grappelli")

pytestmark = IN_CHROMIUM

#: The texts of the badges and of the values of a list that are not wholly visible.
CUT_OFF = """
() => [...document.querySelectorAll(
  ".im-badge, .im-sync button, #result_list :is(.im-counts, .im-file, time, bdi)"
)].filter((element) => {
  const own = element.getBoundingClientRect();
  if (!own.width) return false;
  for (let box = element.parentElement; box; box = box.parentElement) {
    const style = getComputedStyle(box);
    const outer = box.getBoundingClientRect();
    if (style.overflowX !== "visible" && (own.right > outer.right + 1 || own.left < outer.left - 1))
      return true;
    if (style.overflowY === "hidden" && own.bottom > outer.bottom + 1) return true;
  }
  const isInline = getComputedStyle(element).display === "inline";
  return !isInline && element.scrollWidth > element.clientWidth + 1;
}).map((element) => element.textContent.trim())
"""


@pytest.fixture
def grappelli(settings: Any) -> None:
    """A project with grappelli, and without this repository's own templates."""
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path("grappelli/", include("grappelli.urls")), *project.urls.urlpatterns]
    settings.ROOT_URLCONF = urls
    settings.INSTALLED_APPS = ["grappelli", *settings.INSTALLED_APPS]
    settings.TEMPLATES = copy.deepcopy(settings.TEMPLATES)
    settings.TEMPLATES[0]["DIRS"] = []


def width(page: "Page", selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return float(box["width"])


@pytest.mark.parametrize("window", [1280, 1600])
@pytest.mark.usefixtures("grappelli")
def test_pages_are_readable(open_browser: OpenBrowser, admin_user: User, window: int) -> None:
    operation = save_running_operation()
    save_rows(10, workspace="other", file="20260225110000_d26x6zSkaPSe5gCyy_people.csv")
    make_alert("one", last_error="The mail server answered 451.", operation=operation)
    ApiToken.objects.issue(admin_user, name="dashboard", expires_at=timezone.now())
    # Grappelli's own pages have inline scripts.
    browser = open_browser(bypass_csp=True, viewport={"width": window, "height": 900})
    failed = ImportOperation.objects.filter(outcome="failed").latest("pk")
    workspace = Workspace.objects.get()
    paths = {
        "history": HISTORY,
        "operation": change_url(operation),
        "failed": change_url(failed),
        "workspaces": WORKSPACES,
        "workspace": f"{WORKSPACES}{workspace.pk}/change/",
        "alerts": ALERTS,
        "tokens": TOKENS,
    }
    cut_off = {}
    for name, url in paths.items():
        page = browser.open(url)
        assert page.locator("#grp-content").count() == 1
        assert page.locator(".im-badge").count() > 0, name
        cut_off[name] = page.evaluate(CUT_OFF)
        if name == "operation":
            counts = page.locator(".im-summary .im-counts").inner_text()
            assert counts.strip() == "99 % 249 of 250 3 errors"
            # In two columns.
            assert width(page, ".im-chart .im-plot") > 500
            assert width(page, ".im-summary") > 400
        if name == "workspace":
            assert width(page, ".im-chart .im-strip") > 500
            assert width(page, ".im-section") > 500
    # Grappelli refers to files that it does not have.
    browser.errors.clear()
    assert {name: texts for name, texts in cut_off.items() if texts} == {}
