"""An alert as people read it: a text and HTML, made of the same content."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from importmonitor.alerts.contents import Content, compose
from importmonitor.alerts.digests import compose_digest
from importmonitor.alerts.drafts import DIGEST
from importmonitor.alerts.links import add_urls
from importmonitor.logs import get_logger

logger = get_logger(__name__)

#: Gmail cuts an e-mail off after 102 KB of HTML, the end tags included.
_MAX_HTML_ITEMS = 60


@dataclass(frozen=True)
class Message:
    """An alert as people read it: a line, a text and HTML; `body` is its JSON form.

    `html` is the text as a page for e-mail, or "". `links` are the URLs in `text`, each at the end
    of a line. `delivered_to` are the recipients that got it by an earlier attempt.
    """

    title: str
    text: str
    body: dict[str, Any]
    delivered_to: Collection[str] = ()
    html: str = ""
    links: Collection[str] = ()


class _Tone(NamedTuple):
    """A state's CSS class, its colour, the one behind its words, and the symbol before them."""

    name: str
    color: str
    tint: str
    symbol: str


_TONES = {
    tone.name: tone
    for tone in (
        _Tone("good", "#1a6b33", "#e8f3eb", "✓"),
        _Tone("warn", "#7a5200", "#fbf1dc", "!"),
        _Tone("bad", "#a41515", "#fbe9e9", "✕"),
        _Tone("busy", "#0f5a86", "#e6f1f8", "●"),
        _Tone("quiet", "#5b6168", "#eef0f2", "○"),
    )
}


def render_message(body: dict[str, Any]) -> Message:
    """Return the message for the stored JSON form of an alert, in the active language."""
    content = compose_digest(body) if body["event"] == DIGEST else compose(body)
    return build_message(content, add_urls(body))


def build_message(content: Content, body: dict[str, Any]) -> Message:
    """Return the message with a content."""
    return Message(
        content.title,
        _render_text(content),
        body,
        html=_render_html(content),
        links=[link.url for link in content.links],
    )


def _render_text(content: Content) -> str:
    blocks = [
        content.intro,
        "\n".join(
            f"{item.heading}: {item.text}" if item.text else item.heading for item in content.items
        ),
        "\n".join(f"{fact.label}: {fact.value}" for fact in content.facts),
        *content.paragraphs,
        # That to the page needs no label.
        "\n".join(
            link.url if link.is_page else f"{link.label}: {link.url}" for link in content.links
        ),
    ]
    return "\n\n".join(filter(None, blocks))


def _render_html(content: Content) -> str:
    items = content.items[:_MAX_HTML_ITEMS]
    context = {
        "content": content,
        "tone": _TONES[content.tone],
        "items": [(_TONES[item.tone], item) for item in items],
        "more": len(content.items) - len(items),
    }
    try:
        return render_to_string("importmonitor/mail/message.html", context)
    except TemplateDoesNotExist:
        # Of a host that has no template engine of Django's, or not for the templates of apps.
        return ""
    except Exception:
        # Of a host's own template; the text arrives nevertheless.
        logger.exception("%s has no HTML", content.title)
        return ""
