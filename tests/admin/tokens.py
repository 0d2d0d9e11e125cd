"""Creating tokens in the admin, and reading the page that shows one."""

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
REVOKE = f"{LIST}revoke/"
ALL = ("add_apitoken", "change_apitoken", "delete_apitoken", "view_apitoken")
GRAFANA = {"name": "Grafana", "expires_at_0": "", "expires_at_1": ""}


def change_url(token: ApiToken) -> str:
    return f"{LIST}{token.pk}/change/"


def delete_url(token: ApiToken) -> str:
    return f"{LIST}{token.pk}/delete/"


def history_url(token: ApiToken) -> str:
    return f"{LIST}{token.pk}/history/"


def create(client: Client, **fields: str) -> "Response":
    """Send the form that creates a token."""
    return client.post(ADD, GRAFANA | fields)


def expiry(day: str, time: str = "00:00:00") -> dict[str, str]:
    """Return the fields of a time of expiry."""
    return {"expires_at_0": day, "expires_at_1": time}


def field(response: "Response", id_: str) -> str:
    """Return the value of a field of the page that shows a token."""
    assert response.status_code == 200
    match = re.search(rf'<input id="{id_}"[^>]* value="([^"]*)"', response.content.decode())
    assert match, f"no field {id_}"
    return html.unescape(match[1])


def errors(response: "Response") -> dict[str, list[str]]:
    """Return the errors of a form that was refused."""
    assert response.status_code == 200
    result: dict[str, list[str]] = response.context["adminform"].form.errors
    assert result
    return result


def request_status(response: "Response") -> int:
    """Return the status of an API request with the token that a page shows."""
    headers = {"X-User-Id": field(response, "im-user-id")}
    headers["X-Auth-Token"] = field(response, "im-token")
    return Client().get(PATH, headers=headers).status_code
