"""Remote text for services that read Markdown or mentions, and that take plain text for them."""

import re

# A zero-width space is not seen, and ends whatever the character before it would begin.
_BREAK = "\N{ZERO WIDTH SPACE}"
_ACTIVE = re.compile(
    # Mentions and channels, tags and autolinks, headings, images and links.
    r"[@#<\[!](?=\S)|\](?=[(\[:])|:(?=//)"
    # Domains: many services link them without a scheme. This one is in our own text.
    r"|(?<![Rr]ocket)(?<=[^\W_])\.(?=[^\W\d_]{2})"
)


def defuse(text: str, link: str | None = None) -> str:
    """Return text in which nothing is a mention, a link, an image or a heading.

    `link` is a line that stays as it is.
    """
    return "\n".join(
        line if line == link else _ACTIVE.sub(rf"\g<0>{_BREAK}", line) for line in text.split("\n")
    )
