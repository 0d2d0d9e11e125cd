"""What the pages of API tokens say of one: how it stands, what it opens, how to try it."""

import shlex
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf, permissions
from importmonitor.admin import display
from importmonitor.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIVE = display.Badge(gettext_lazy("live"), "✓", "good")
SOON = display.Badge(gettext_lazy("expires soon"), "!", "warn")
EXPIRED = display.Badge(gettext_lazy("expired"), "✕", "quiet")
USELESS = display.Badge(gettext_lazy("user not active"), "⊘", "quiet")
#: How long before its end a token is said to expire soon.
SOON_IS = timedelta(days=14)
#: A token that was used since is in use: what revokes it stops something.
IN_USE = timedelta(days=1)


def badge(token: ApiToken) -> display.Badge:
    if token.is_expired:
        return EXPIRED
    if not token.user.is_active:
        return USELESS
    if token.expires_at and token.expires_at - timezone.now() < SOON_IS:
        return SOON
    return LIVE


def named(token: ApiToken) -> SafeString:
    return format_html(
        '{} <code class="im-file">{}…</code>', token.name or _("unnamed"), token.prefix
    )


def row(token: ApiToken) -> dict[str, Any]:
    """Prepare a token for the page that asks whether to revoke it."""
    used = token.last_used_at
    return {
        "token": token,
        "named": named(token),
        "badge": display.render_badge(badge(token)),
        "used": display.time_since(used) if used else None,
        "in_use": used is not None and timezone.now() - used < IN_USE,
    }


def told(user: "User") -> tuple[str, str] | None:
    """Say what keeps a new token from its answers: the kind of message, and its text."""
    if not user.is_active:
        return "warning", _("Its user is not active: until they are, it is of no use.")
    words = {"run": permissions.RUN_IMPORT, "view": permissions.VIEW}
    if not permissions.can_view_imports(user):
        refused = _(
            "Its user may not see imports, so every answer will be a refusal (403). Give them "
            "%(run)s for Rocket.Chat's endpoints and the REST API, or %(view)s for the REST API "
            "alone."
        )
        return "warning", refused % words
    if not permissions.has_perm(user, permissions.RUN_IMPORT):
        limited = _(
            "It can ask the REST API. For Rocket.Chat's getCurrentImportOperation its user would "
            "need %(run)s."
        )
        return "info", limited % words
    return None


def curl(request: HttpRequest, token: ApiToken, text: str) -> str | None:
    """Return a command that tries the token, or None where no endpoint for it is mounted."""
    pages = ["importmonitor-rest:workspace-list"]
    if permissions.has_perm(token.user, permissions.RUN_IMPORT):
        pages.insert(0, "importmonitor:getCurrentImportOperation")
    for page in pages:
        with suppress(NoReverseMatch):
            path = reverse(page)
            break
    else:
        return None
    base = conf.options().base_url
    # A path that the site is mounted at belongs to its base URL.
    url = base + path.removeprefix(get_script_prefix().rstrip("/")) if base else path
    command = ["curl", "-H", f"X-User-Id: {token.user_id}", "-H", f"X-Auth-Token: {text}"]
    return shlex.join([*command, request.build_absolute_uri(url)])
