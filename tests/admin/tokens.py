"""Making tokens in the admin, and reading the page that shows one."""

import html
import re
from typing import TYPE_CHECKING

from django.test import Client

from importmonitor.models import ApiToken
from tests.api.helpers import PATH

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

LIST = "/admin/importmonitor/apitoken/"
ADD = f"{LIST}add/"
ALL = ("add_apitoken", "change_apitoken", "delete_apitoken", "view_apitoken")
GRAFANA = {"name": "Grafana", "lasts": "365", "expires_at": ""}


def change(token: ApiToken) -> str:
    return f"{LIST}{token.pk}/change/"


def delete(token: ApiToken) -> str:
    return f"{LIST}{token.pk}/delete/"


def make(client: Client, **fields: str) -> "Response":
    """Send the form in which a token is made."""
    return client.post(ADD, GRAFANA | fields)


def field(response: "Response", id_: str) -> str:
    """Return what stands in a field of the page that shows a token."""
    assert response.status_code == 200
    text = response.content.decode()
    found = re.search(rf'<input id="{id_}"[^>]* value="([^"]*)"', text)
    found = found or re.search(rf'<textarea id="{id_}"[^>]*>([^<]*)<', text)
    assert found, f"no field {id_}"
    return html.unescape(found[1])


def errors(response: "Response") -> dict[str, list[str]]:
    """Return the errors of a form that was refused."""
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    assert found
    return found


def ask(response: "Response") -> int:
    """Ask the endpoint with the token that a page shows; return the status."""
    headers = {"X-User-Id": field(response, "im-user-id")}
    headers["X-Auth-Token"] = field(response, "im-token")
    return Client().get(PATH, headers=headers).status_code
