"""Links into a log viewer such as Kibana: a URL with placeholders for a time span and an id."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from importmonitor.rocketchat import urls

#: `from` and `to` are in ISO 8601 and UTC, `from_ms` and `to_ms` in milliseconds since 1970; `id`
#: is the operation's.
PLACEHOLDERS = ("from", "to", "from_ms", "to_ms", "id")
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
_SECOND = timedelta(seconds=1)


def find_problem(template: str) -> str:
    """Return why a template is no URL with known placeholders, "" if it is one."""
    url = _PLACEHOLDER.sub("0", template)
    if "{" in url or "}" in url:
        return "has braces that are no placeholder"
    if not _PLACEHOLDER.search(template):
        return "has no placeholder"
    try:
        urls.read_host(url)
        if _PLACEHOLDER.search(urlsplit(template).netloc):
            return "has a placeholder in its host"
    except ValueError as error:
        return f"cannot be used: {error}"
    return ""


def fill(template: str, start: datetime, end: datetime, remote_id: str) -> str:
    """Return the URL for a time span, widened to whole seconds, and an operation's id."""
    start, end = whole_seconds(start, end)
    values = {
        "from": _iso(start),
        "to": _iso(end),
        "from_ms": f"{start.timestamp() * 1000:.0f}",
        "to_ms": f"{end.timestamp() * 1000:.0f}",
        "id": remote_id,
    }
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template)


def whole_seconds(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return a span that begins and ends at whole seconds, and is never empty."""
    first, last = start.replace(microsecond=0), end.replace(microsecond=0)
    if last < end:
        last += _SECOND
    return first, max(last, first + _SECOND)


def _iso(moment: datetime) -> str:
    # With milliseconds, as Kibana and Graylog write it themselves.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
