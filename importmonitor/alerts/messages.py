"""An alert as people read it: a text, made of its content."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from importmonitor.alerts.contents import Content, compose
from importmonitor.alerts.links import page_url


@dataclass(frozen=True)
class Message:
    """An alert as people read it: a line and a text; `body` is its JSON form.

    `links` are the URLs in `text`, each at the end of a line. `delivered_to` are the recipients
    that got it by an earlier attempt.
    """

    title: str
    text: str
    body: dict[str, Any]
    delivered_to: Collection[str] = ()
    links: Collection[str] = ()


def render_message(body: dict[str, Any]) -> Message:
    """Return the message for the stored JSON form of an alert, in the active language."""
    return build_message(compose(body), body | {"url": page_url(body["operation"])})


def build_message(content: Content, body: dict[str, Any]) -> Message:
    """Return the message with a content."""
    return Message(
        content.title,
        _render_text(content),
        body,
        links=[link.url for link in content.links],
    )


def _render_text(content: Content) -> str:
    blocks = [
        content.intro,
        "\n".join(f"{fact.label}: {fact.value}" for fact in content.facts),
        "\n".join(
            f"{item.heading}: {item.text}" if item.text else item.heading for item in content.items
        ),
        *content.paragraphs,
        # The first is that to the page, which needs no label.
        "\n".join(
            f"{link.label}: {link.url}" if number else link.url
            for number, link in enumerate(content.links)
        ),
    ]
    return "\n\n".join(filter(None, blocks))
