"""Whether a workspace's response is usable, and if not, which error it is and what to do about it.

The rules are those of Rocket.Chat 3.x to 8.x, which report the same errors in three formats.
"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from importmonitor.rocketchat.clock import server_time
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    PermissionMissing,
    RateLimited,
    RocketChatError,
    TwoFactorRequired,
    Unauthenticated,
    Unreachable,
)
from importmonitor.rocketchat.redaction import proxy_secrets, redact

#: Instead of a permission: the endpoint requires a login only.
LOGIN = ""

#: Rocket.Chat's window for counting requests, unless its administrator has changed that.
_RATE_LIMIT_WINDOW = timedelta(seconds=60)
#: The longest wait that Rocket.Chat itself can ask for; and a firewall in front of it.
_MAX_WAIT = timedelta(minutes=10)
MAX_RETRY_AFTER = timedelta(days=1)
# Rocket.Chat's text has whole seconds.
_TEXT_PRECISION = timedelta(seconds=2)
#: Enough of a page to contain 200 characters of text. The expressions that remove tags take
#: quadratic time on a page made for that.
_MAX_PAGE_BYTES = 4_096


@dataclass(frozen=True)
class ApiResponse:
    """An HTTP response to a GET of `url`; `body` is decompressed, or None if it was not read."""

    url: str
    status: int
    content_type: str
    headers: Mapping[str, str] = field(repr=False)
    received_at: datetime
    body: bytes | None = field(default=None, repr=False)

    @property
    def is_html(self) -> bool:
        return "html" in self.content_type.lower() or (self.body or b"").lstrip()[:1] == b"<"

    @property
    def text(self) -> str:
        """The beginning of the readable text: without tags, scripts and styles."""
        text = (self.body or b"")[:_MAX_PAGE_BYTES].decode("utf-8", "replace")
        if self.is_html:
            text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", " ", text)
            text = html.unescape(text)
        return text


def sanitize(workspace: WorkspaceConfig, text: str, length: int = 200) -> str:
    """Return remote text fit for a message: one short printable line without a secret."""
    secrets = (*workspace.secrets, *proxy_secrets())
    # Before it is cut, and again after: half a token is half a secret.
    text = redact(text, secrets)
    text = "".join(char if char.isprintable() else " " for char in text)
    return redact(" ".join(text.split())[:length], secrets)


def error_for(
    workspace: WorkspaceConfig, response: ApiResponse, permission: str | None
) -> RocketChatError | None:
    """Return the error that a response stands for, or None if its body is worth decoding.

    `permission` is the one that the endpoint requires, LOGIN for none, None without a login.
    """

    def message(advice: str) -> str:
        return f"{_describe(workspace, response)}. {advice}"

    body = _json_object(response)
    words = f"{body.get('errorType', '')} {body.get('error', '')} {body.get('message', '')}"
    status = response.status
    if status >= 500:
        return Unreachable(
            message("Rocket.Chat, or the proxy in front of it, is down or starting.")
        )
    if 300 <= status < 400:
        return NotRocketChat(message(_redirect_advice(workspace, response)))
    if status == 429 or "error-too-many-requests" in words:
        until = _rate_limited_until(response, words)
        return RateLimited(
            message(
                f"The next request is allowed after {until:%H:%M:%S} UTC. All clients behind one "
                "address share Rocket.Chat's rate limit; give the user the permission "
                "api-bypass-rate-limit, or poll less often."
            ),
            until=until,
        )
    if response.is_html or status in {404, 405}:
        return NotRocketChat(message(_page_advice(workspace, response)))
    if status == 401:
        return Unauthenticated(
            message(
                "Check USER_ID and AUTH_TOKEN: the token must be that user's, and it is revoked "
                "when the user is deactivated or removes it."
            )
        )
    if "totp-required" in words:
        return TwoFactorRequired(
            message("Recreate the personal access token with “Ignore Two Factor Authentication”.")
        )
    if permission and (status == 403 or "not_authorized" in words or "error-unauthorized" in words):
        return PermissionMissing(
            message(
                f"Grant the permission {permission} to a role of the token's user "
                "(Administration > Permissions in Rocket.Chat)."
            ),
            permission=permission,
        )
    if not 200 <= status < 300 or body.get("success") in (False, "false"):
        return BadAnswer(message("Rocket.Chat refused the request; its log may say why."))
    return None


def bad_answer_message(workspace: WorkspaceConfig, response: ApiResponse, problem: str) -> str:
    """Return the message for a response whose body is not what the endpoint returns."""
    return (
        f"{_describe(workspace, response)}, but {problem}. "
        "Check that the URL is Rocket.Chat's, and that no proxy in front of it alters responses."
    )


def _describe(workspace: WorkspaceConfig, response: ApiResponse) -> str:
    """Return the request and the response in words: "default: GET URL returned 503 …"."""
    content_type = sanitize(workspace, response.content_type.partition(";")[0], 80)
    description = (
        f"{workspace.alias}: GET {response.url} returned {response.status} "
        f"{content_type or 'without a content type'}"
    )
    if response.body is None:
        return description
    excerpt = sanitize(workspace, response.text)
    return f"{description}: {excerpt!r}" if excerpt else f"{description}, empty body"


def _json_object(response: ApiResponse) -> dict[str, Any]:
    """Return the body's JSON object, or an empty one where there is none.

    Only for errors, which are short; `Client._json` decodes the other bodies and reports problems.
    """
    content = response.body or b""
    if len(content) > 65_536 or content.lstrip()[:1] != b"{":
        return {}
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _rate_limited_until(response: ApiResponse, words: str) -> datetime:
    """Return when the next request is allowed.

    X-RateLimit-Reset is on Rocket.Chat's clock, and so is Date, unless a proxy writes its own; the
    text is relative. So where the two disagree, the text counts. A CDN or firewall in front of
    Rocket.Chat has neither, but sends Retry-After.
    """
    now = response.received_at
    by_text = None
    if match := re.search(r"wait ([0-9]{1,6}) seconds", words):
        by_text = min(timedelta(seconds=int(match[1])), _MAX_WAIT)
    reset = response.headers.get("X-RateLimit-Reset", "")
    if re.fullmatch(r"[0-9]{12,14}", reset):
        server_now = server_time(response.headers) or now
        wait = datetime.fromtimestamp(int(reset) / 1000, UTC) - server_now
        is_plausible = timedelta(0) < wait <= _MAX_WAIT
        if is_plausible and (by_text is None or abs(wait - by_text) <= _TEXT_PRECISION):
            return now + wait
    if by_text is not None:
        return now + by_text
    return now + (_retry_after(response) or _RATE_LIMIT_WINDOW)


def _retry_after(response: ApiResponse) -> timedelta | None:
    """Return how long Retry-After says to wait, at most a day: in seconds or until a date."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        # Cut to nine digits, which are longer than a day: Python refuses to read thousands.
        seconds = int(value.lstrip("0")[:9] or "0")
        wait = timedelta(seconds=seconds)
    elif until := server_time({"Date": value}):
        wait = until - (server_time(response.headers) or response.received_at)
    else:
        return None
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta(0) else None


def _redirect_advice(workspace: WorkspaceConfig, response: ApiResponse) -> str:
    # Without a name and password, in case the URL contains them.
    location = re.sub(r"(?<=//)[^/?#]*@", "", response.headers.get("Location", ""))
    target = sanitize(workspace, location)
    if not target:
        return "The redirect names no location. Check the proxy in front of Rocket.Chat."
    advice = f"It redirects to {target!r}. Redirects are not followed: they could leak the token."
    request_path = urlsplit(response.url).path.removeprefix(urlsplit(workspace.url).path)
    try:
        parts = urlsplit(target)
    except ValueError:
        return advice
    if parts.netloc and parts.path.endswith(request_path):
        base = parts._replace(path=parts.path.removesuffix(request_path), query="", fragment="")
        return f"{advice} If that is the same workspace, set its URL to {urlunsplit(base)}"
    return advice


def _page_advice(workspace: WorkspaceConfig, response: ApiResponse) -> str:
    parts = urlsplit(workspace.url)
    what = "a web page, not Rocket.Chat's API" if response.is_html else "not Rocket.Chat's API"
    advice = f"This is {what}. Set the URL to the workspace's own address"
    if parts.path:
        return f"{advice}: did you mean {urlunsplit(parts._replace(path=''))}?"
    if response.status in {404, 405}:
        return f"{advice}; Rocket.Chat before 3.0 has no API for import operations."
    return (
        f"{advice}, and check whether a proxy in front of it requires a login, which can be set in "
        "HEADERS."
    )
