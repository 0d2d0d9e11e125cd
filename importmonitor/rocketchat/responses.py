"""What a workspace answered, judged: is it an answer, and if not, what has somebody to do?

The rules are those of Rocket.Chat 3.x to 8.x, which say the same things in three dialects.
"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

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

#: Rocket.Chat's window for counting calls, and so the longest that it makes anyone wait.
_RATE_LIMIT_WINDOW = timedelta(seconds=60)
_LONGEST_WAIT = timedelta(minutes=10)
#: Enough of a page to find 200 characters of text in: the expressions that take tags out are
#: quadratic on a page made for that.
_READ = 4_096
#: Shorter than this, a token could be a word that an answer holds for other reasons.
_TOKEN_LENGTH = 20


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `url` is what was asked, `body` is decompressed, or None if not read."""

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
        """The beginning of what a person would read in it: without tags, scripts and styles."""
        text = (self.body or b"")[:_READ].decode("utf-8", "replace")
        if self.is_html:
            text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", " ", text)
            text = html.unescape(text)
        return text


def sanitize(workspace: WorkspaceConfig, text: str, length: int = 200) -> str:
    """Return remote text fit for a message: one printable line, not long, without the token."""
    # Before it is cut: half a token is half a secret.
    text = text.replace(workspace.auth_token, "[hidden]")
    text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())[:length]


def redact_secrets(body: bytes, token: str) -> bytes:
    """Return a body that does not hold the token, should a server send it back."""
    if len(token) < _TOKEN_LENGTH:
        return body
    return body.replace(token.encode(), b"[hidden]")


def error_in(
    workspace: WorkspaceConfig, answer: Answer, permission: str | None
) -> RocketChatError | None:
    """Return what is wrong with an answer, or None if its body is worth decoding.

    `permission` is the one that Rocket.Chat wants for what was asked.
    """

    def told(advice: str) -> str:
        return f"{_said(workspace, answer)}. {advice}"

    body = _object(answer)
    word = f"{body.get('errorType', '')} {body.get('error', '')} {body.get('message', '')}"
    status = answer.status
    if status >= 500:
        return Unreachable(told("Rocket.Chat, or the proxy in front of it, is down or starting."))
    if 300 <= status < 400:
        return NotRocketChat(told(_redirect_advice(workspace, answer)))
    if status == 429 or "error-too-many-requests" in word:
        until = _until(answer, word)
        return RateLimited(
            told(
                f"It will be asked again after {until:%H:%M:%S} UTC. All who come from one address "
                "share Rocket.Chat's budget of calls; give the user the permission "
                "api-bypass-rate-limit, or ask less often."
            ),
            until=until,
        )
    if answer.is_html or status in {404, 405}:
        return NotRocketChat(told(_page_advice(workspace, answer)))
    if status == 401:
        return Unauthenticated(
            told(
                "Check USER_ID and AUTH_TOKEN: they belong together, and a token ends when its "
                "user is deactivated or removes it."
            )
        )
    if "totp-required" in word:
        return TwoFactorRequired(
            told("Make the personal access token again with “Ignore Two Factor Authentication”.")
        )
    if permission is not None and (
        status == 403 or "not_authorized" in word or "error-unauthorized" in word
    ):
        return PermissionMissing(
            told(
                f"Give a role of the token's user the permission {permission} "
                "(Administration > Permissions in Rocket.Chat)."
            ),
            permission=permission,
        )
    if not 200 <= status < 300 or body.get("success") in (False, "false"):
        return BadAnswer(told("Rocket.Chat refused; its log may say why."))
    return None


def bad_answer_text(workspace: WorkspaceConfig, answer: Answer, trouble: str) -> str:
    """Word the message of an answer whose body is not what was asked for."""
    return (
        f"{_said(workspace, answer)}, but {trouble}. "
        "Check that the URL is Rocket.Chat's, and what a proxy in front of it does to answers."
    )


def _said(workspace: WorkspaceConfig, answer: Answer) -> str:
    content_type = sanitize(workspace, answer.content_type.partition(";")[0], 80)
    said = (
        f"{workspace.alias}: GET {answer.url} was answered {answer.status} "
        f"{content_type or 'without a type'}"
    )
    if answer.body is None:
        return said
    excerpt = sanitize(workspace, answer.text)
    return f"{said}: {excerpt!r}" if excerpt else f"{said}, empty"


def _object(answer: Answer) -> dict[str, Any]:
    # Only for errors, which are short: what cannot be decoded here is judged with the body later.
    content = answer.body or b""
    if len(content) > 65_536 or content.lstrip()[:1] != b"{":
        return {}
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _until(answer: Answer, word: str) -> datetime:
    """Tell when the next call is allowed.

    The header is on the server's clock, the text is not: where they differ by more than a window
    makes sense of, the clocks do.
    """
    now = answer.received_at
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if re.fullmatch(r"[0-9]{12,14}", reset):
        until = datetime.fromtimestamp(int(reset) / 1000, UTC)
        if now < until <= now + _LONGEST_WAIT:
            return until
    if match := re.search(r"wait ([0-9]{1,6}) seconds", word):
        return now + min(timedelta(seconds=int(match[1])), _LONGEST_WAIT)
    return now + _RATE_LIMIT_WINDOW


def _redirect_advice(workspace: WorkspaceConfig, answer: Answer) -> str:
    # Without a name and password, should somebody have put some into it.
    location = re.sub(r"(?<=//)[^/?#]*@", "", answer.headers.get("Location", ""))
    target = sanitize(workspace, location)
    if not target:
        return "It is a redirect to nowhere. Look at the proxy in front of Rocket.Chat."
    advice = (
        f"It points to {target!r}. Redirects are not followed: they could take the token along."
    )
    asked_path = urlsplit(answer.url).path.removeprefix(urlsplit(workspace.url).path)
    try:
        parts = urlsplit(target)
    except ValueError:
        return advice
    if parts.netloc and parts.path.endswith(asked_path):
        base = parts._replace(path=parts.path.removesuffix(asked_path), query="", fragment="")
        return f"{advice} If that is the same workspace, set its URL to {urlunsplit(base)}"
    return advice


def _page_advice(workspace: WorkspaceConfig, answer: Answer) -> str:
    parts = urlsplit(workspace.url)
    what = "a web page, not Rocket.Chat's API" if answer.is_html else "not Rocket.Chat's API"
    advice = f"This is {what}. Set the URL to the workspace's own address"
    if parts.path:
        return f"{advice}: did you mean {urlunsplit(parts._replace(path=''))}?"
    if answer.status in {404, 405}:
        return f"{advice}; Rocket.Chat older than 3.0 cannot be asked for its imports."
    return f"{advice}, and see whether a proxy in front of it asks for a login of its own."
