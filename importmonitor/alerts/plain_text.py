"""Remote text, which must not become anything but text."""

import re
from collections.abc import Collection

# A zero-width space is not seen, and ends whatever the character before it would begin.
_BREAK = "\N{ZERO WIDTH SPACE}"
_ACTIVE = re.compile(
    # Mentions and channels, tags and autolinks, headings, images and links.
    r"[@#<\[!](?=\S)|\](?=[(\[:])|:(?=//)"
    # Domains: many services link them without a scheme. This one is in our own text.
    r"|(?<![Rr]ocket)(?<=[^\W_])\.(?=[^\W\d_]{2})"
)


def one_line(text: str) -> str:
    """Return text that cannot start another line, or another header of an e-mail."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def defuse(text: str, links: Collection[str] = ()) -> str:
    """Return text in which nothing is a mention, a link, an image or a heading.

    It is for services that read Markdown or mentions, and take plain text for them. `links` are
    URLs that stay as they are where a line ends with one.
    """
    return "\n".join(_defuse_line(line, links) for line in text.split("\n"))


def _defuse_line(line: str, links: Collection[str]) -> str:
    link = next((link for link in links if line.endswith(link)), "")
    return _ACTIVE.sub(rf"\g<0>{_BREAK}", line.removesuffix(link)) + link
