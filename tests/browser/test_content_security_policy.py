"""No page violates the host project's Content-Security-Policy."""

from django.contrib.auth.models import User
from django.urls import reverse

from importmonitor import models
from importmonitor.models import ApiToken, ImportOperation
from simulator.workspace import Workspace
from tests.browser.browser_page import ADMIN, ALERTS, HISTORY, IN_CHROMIUM, TOKENS, WORKSPACES
from tests.browser.conftest import OpenBrowser

pytestmark = IN_CHROMIUM

VIOLATIONS = "window.cspViolations"


def test_admin_pages_have_no_violations(
    open_browser: OpenBrowser, history: Workspace, admin_user: User
) -> None:
    token, _text = ApiToken.objects.issue(admin_user, name="dashboard")
    operation = ImportOperation.objects.newest_first()[0]
    workspace = models.Workspace.objects.get()
    change = f"{HISTORY}{operation.pk}/change/"
    paths = [
        ADMIN,
        HISTORY,
        f"{HISTORY}?q=no-such-name",
        change,
        f"{HISTORY}{operation.pk}/history/",
    ]
    paths += [WORKSPACES, f"{WORKSPACES}{workspace.pk}/change/", ALERTS]
    paths += [TOKENS, f"{TOKENS}add/", f"{TOKENS}{token.pk}/change/", f"{TOKENS}{token.pk}/delete/"]
    paths += [reverse(f"admin:{name}") for name in ("password_change", "auth_user_changelist")]
    paths += [f"{ADMIN}auth/user/add/", f"{ADMIN}auth/user/{admin_user.pk}/change/"]
    paths += [f"{ADMIN}auth/group/add/", f"{ADMIN}auth/user/{admin_user.pk}/password/"]
    browser = open_browser()
    for path in paths:
        page = browser.open(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(VIOLATIONS) == [], path


def test_login_has_no_violations(open_browser: OpenBrowser) -> None:
    page = open_browser(log_in=False).open(f"{ADMIN}login/")
    assert page.evaluate(VIOLATIONS) == []


def test_api_docs_work_without_violations(open_browser: OpenBrowser, history: Workspace) -> None:
    page = open_browser().open("/api/docs/")
    operation = page.locator("#operations-REST-listWorkspaces")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    operation.locator(".live-responses-table .microlight").first.wait_for()
    page.get_by_role("button", name="Authorize").click()
    page.locator(".modal-ux").wait_for()
    assert page.evaluate(VIOLATIONS) == []


def test_page_about_a_missing_csrf_token_has_no_violations(open_browser: OpenBrowser) -> None:
    browser = open_browser(log_in=False)
    page = browser.open(f"{ADMIN}login/")
    browser.context.clear_cookies()
    with browser.expecting_errors():
        page.locator("[type=submit]").evaluate("button => button.form.submit()")
        page.get_by_role("heading", name="Forbidden").wait_for()
    assert page.evaluate(VIOLATIONS) == []


def test_inline_script_and_style_are_blocked(open_browser: OpenBrowser) -> None:
    """That the other tests would notice."""
    browser = open_browser()
    page = browser.open(ADMIN)
    with browser.expecting_errors():
        for name in ("script", "style"):
            page.evaluate(
                "name => document.body.append(Object.assign(document.createElement(name),"
                " {textContent: 'window.ran = true'}))",
                name,
            )
        page.wait_for_function(f"{VIOLATIONS}.length == 2")
    assert page.evaluate("window.ran") is None
