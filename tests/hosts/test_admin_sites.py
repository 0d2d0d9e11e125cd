"""The app in a second AdminSite, or in one of the project's own alone."""

from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import include, path

from importmonitor.admin import (
    AlertAdmin,
    ApiTokenAdmin,
    ImportOperationAdmin,
    IncidentAdmin,
    WorkspaceAdmin,
)
from importmonitor.alerts.drafts import draft_test_alert
from importmonitor.alerts.links import page_url
from importmonitor.alerts.messages import render_message
from importmonitor.models import Alert, ApiToken, ImportOperation, Incident, Workspace
from tests.admin.helpers import Page, save_rows
from tests.admin.test_alerts_page import make_alert
from tests.admin.test_incidents_page import make_incident
from tests.admin.workspace_states import STATES, save_states
from tests.admin.workspace_states import configure as configure_workspaces
from tests.api.helpers import NOON, RUNNING, make_user, sync

ADMINS: dict[type[Any], Any] = {
    Alert: AlertAdmin,
    ApiToken: ApiTokenAdmin,
    ImportOperation: ImportOperationAdmin,
    Incident: IncidentAdmin,
    Workspace: WorkspaceAdmin,
}


def make_site(*models: type[Any]) -> admin.AdminSite:
    site = admin.AdminSite(name="ops")
    for model in models:
        site.register(model, ADMINS[model])
    return site


def make_urls(ops: admin.AdminSite, *, default: admin.AdminSite | None) -> Any:
    """Return a URLconf with the site at /ops/ and, before it, the default one at /admin/."""
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path("ops/", ops.urls), path("chat/", include("importmonitor.urls"))]
    if default is not None:
        urls.urlpatterns.insert(0, path("admin/", default.urls))
    return urls


URLS = {
    "second site": make_urls(make_site(*ADMINS), default=admin.site),
    "the only site": make_urls(make_site(*ADMINS), default=None),
    "default site without the app": make_urls(make_site(*ADMINS), default=admin.AdminSite()),
}


@pytest.fixture(params=URLS)
def host(request: Any, settings: Any) -> str:
    settings.ROOT_URLCONF = URLS[request.param]
    return str(request.param)


def root_client() -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


def crawl(client: Client, start: str) -> dict[str, Page]:
    """Return the app's pages that can be reached by links, with their own URLs."""
    pages: dict[str, Page] = {}
    urls = [start]
    while urls:
        url = urls.pop()
        response = client.get(url)
        assert response.status_code == 200, (url, response.status_code)
        pages[url] = Page("".join(map(bytes.decode, response)))
        links = [link.partition("#")[0] for link in pages[url].links]
        urls += [
            link
            for link in dict.fromkeys(links)
            # The filters and the pages of a list are the list once more.
            if "/importmonitor/" in link and "?" not in link and link not in [*pages, *urls]
        ]
    return pages


@pytest.mark.thorough(one_in=3)
@pytest.mark.django_db
@pytest.mark.usefixtures("host")
def test_every_link_stays_in_its_site(settings: Any) -> None:
    configure_workspaces(settings, *STATES, *(f"more-{number}" for number in range(9)))
    save_states()
    save_rows(3, workspace="more-1")
    failed = ImportOperation.objects.get(workspace="failed")
    make_alert("one", operation=failed)
    make_incident("import.failed", workspace="failed", operation=failed)
    make_incident(workspace="unreachable")
    client = root_client()
    token, _text = ApiToken.objects.issue(User.objects.get(), name="dashboard")
    pages = crawl(client, "/ops/")
    kinds = {url.split("/")[3] for url in pages if url.count("/") > 3}
    assert kinds == {"alert", "apitoken", "importoperation", "incident", "workspace"}
    assert f"/ops/importmonitor/apitoken/{token.pk}/change/" in pages
    others = {
        (url, link)
        for url, shown in pages.items()
        for link in [*shown.links, *shown.actions]
        # "/" is the site's own "view site".
        if link.startswith("/") and link != "/" and not link.startswith("/ops/")
    }
    assert others == set()


@pytest.mark.django_db
@pytest.mark.usefixtures("host")
def test_every_redirect_stays_in_its_site() -> None:
    client = root_client()
    synced = client.post("/ops/importmonitor/importoperation/sync/?state=done")
    assert synced.headers["Location"] == "/ops/importmonitor/importoperation/?state=done"
    revoked = client.get("/ops/importmonitor/apitoken/revoke/")
    assert revoked.headers["Location"] == "/ops/importmonitor/apitoken/"
    acknowledged = client.post("/ops/importmonitor/incident/acknowledge/", {"until": "hour"})
    assert acknowledged.headers["Location"] == "/ops/importmonitor/incident/"
    form = {"user": "root", "name": "dashboard", "expires_at_0": "", "expires_at_1": ""}
    created = client.post("/ops/importmonitor/apitoken/add/", form)
    assert "X-Auth-Token" in created.text
    assert not [link for link in Page(created.text).links if link.startswith("/admin/")]
    revoked = client.post("/ops/importmonitor/apitoken/revoke/", {"post": "yes"})
    assert revoked.headers["Location"] == "/ops/importmonitor/apitoken/"


@pytest.mark.django_db
def test_links_in_alerts_prefer_the_default_site(settings: Any, host: str) -> None:
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "BASE_URL": "https://imports.example"}
    folder = "admin" if host == "second site" else "ops"
    assert (
        page_url("importoperation_changelist")
        == f"https://imports.example/{folder}/importmonitor/importoperation/"
    )
    body = draft_test_alert("default", at=NOON, key="key").body | {"operation": {"id": 7}}
    link = f"https://imports.example/{folder}/importmonitor/importoperation/7/change/"
    assert render_message(body).body["url"] == link


def render_tag(user: Any, **attributes: Any) -> str:
    request = RequestFactory().get("/")
    vars(request).update(attributes, user=user)
    template = Template("{% load importmonitor %}{% import_status %}")
    return template.render(Context({"request": request}))


@pytest.mark.django_db
def test_status_line_links_into_the_site_that_shows_it(host: str) -> None:
    sync(RUNNING)
    user = make_user("root", is_staff=True, is_superuser=True)
    history = "/importmonitor/importoperation/"
    assert f'"/ops{history}"' in render_tag(user, current_app="ops")
    # On a page of the host, or of an admin without the app.
    folder = "/admin" if host == "second site" else "/ops"
    assert f'"{folder}{history}"' in render_tag(user)
    assert f'"{folder}{history}"' in render_tag(user, current_app="admin")


@pytest.mark.django_db
def test_status_line_has_no_link_without_an_admin(settings: Any) -> None:
    settings.ROOT_URLCONF = make_urls(make_site(), default=None)
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "BASE_URL": "https://imports.example"}
    sync(RUNNING)
    line = render_tag(make_user("root", is_staff=True, is_superuser=True))
    assert "1 running" in line
    assert "<a" not in line
    assert page_url("importoperation_changelist") is None


@pytest.mark.thorough(one_in=3)
@pytest.mark.django_db
@pytest.mark.parametrize("model", [ImportOperation, Workspace, Alert])
def test_site_with_one_of_the_models_works(settings: Any, model: type[Any]) -> None:
    settings.ROOT_URLCONF = make_urls(make_site(model), default=None)
    sync(RUNNING)
    make_alert("one", operation=ImportOperation.objects.get())
    pages = crawl(root_client(), "/ops/")
    assert any(url.endswith("/change/") for url in pages)
