"""Removes secrets from what a server sends back, in whatever form they come."""

import base64
import html
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from importmonitor.secret import HIDDEN, Secret

#: Shorter, it is a placeholder and part of ordinary words. Rocket.Chat's tokens have 43 characters.
MIN_LENGTH = 4
#: A part of this length counts as the secret: what is quoted can have been cut.
_PART_LENGTH = 8
#: What is nested deeper, or follows later in a text, is never stored (`payload`).
_MAX_DEPTH = 25
_MAX_LENGTH = 10_000

# A token is of visible ASCII: all else can only separate its characters, and so do tags. What else
# the password of a proxy contains is not compared.
_INVISIBLE = r"[^!-~]"
_SEPARATOR = rf"<[^<>]{{0,300}}>|{_INVISIBLE}"
_ESCAPE = re.compile(
    r"(?:[%=]|\\x|\\u00|\\U000000|\\u\{0*)(?P<hex>[0-9a-fA-F]{2})\}?"
    r"|\\(?P<octal>[0-7]{3})|\\(?P<space>[bfnrt])|\\(?P<char>.)"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
#: How often text can have been encoded one way within another.
_MAX_ENCODINGS = 3


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return text without the secrets.

    They are also recognized in another case, with white space or tags in between, and in the
    escapes of JSON, HTML, URLs, base64 and hex. Where a secret cannot be cut out, nothing of the
    text remains.
    """
    for secret in secrets:
        if len(secret) >= MIN_LENGTH and _reveals(text, secret):
            separator = f"(?:{_SEPARATOR}){{0,100}}?"
            text = re.sub(f"(?i){separator.join(map(re.escape, _compact(secret)))}", HIDDEN, text)
            if _reveals(text, secret):
                return HIDDEN
    return text


def redact_json(value: Any, secrets: tuple[str, ...], depth: int = _MAX_DEPTH) -> Any:
    """Return a JSON value without the secrets, also in its keys."""
    if isinstance(value, str):
        # No form of a secret is shorter than it is. Almost all text is.
        possible = [secret for secret in secrets if len(secret) <= len(value)]
        return redact(value[:_MAX_LENGTH], possible) if possible else value
    if depth == 0:
        return value
    if isinstance(value, list):
        return [redact_json(item, secrets, depth - 1) for item in value]
    if isinstance(value, dict):
        return {
            redact_json(key, secrets): redact_json(item, secrets, depth - 1)
            for key, item in value.items()
        }
    return value


def proxy_secrets() -> tuple[str, ...]:
    """Return the passwords of the proxies that the environment names."""
    secrets = set()
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy") and "@" in value:
            # Not by a URL parser: those stop at a "/", "#" or "?" in the password.
            credentials = (value.partition("://")[2] or value).rpartition("@")[0]
            password = credentials.partition(":")[2]
            # A short one is a secret together with the name only, and a token can be the name.
            secrets.add(password if len(password) >= MIN_LENGTH else credentials)
    secrets |= {unquote(secret) for secret in secrets}
    return tuple(sorted((Secret(secret) for secret in secrets), key=len, reverse=True))


def _reveals(text: str, secret: str) -> bool:
    """Return whether a secret, or enough of a long one, can be read from a text."""
    secret = _compact(secret)
    if len(secret) < MIN_LENGTH:
        return False
    length = min(len(secret), _PART_LENGTH)
    starts = range(len(secret) - length + 1)
    parts = [Secret(secret[start : start + length].lower()) for start in starts]
    return any(part in form for form in map(str.lower, _forms(text)) for part in parts)


def _compact(secret: str) -> Secret:
    return Secret(re.sub(_INVISIBLE, "", secret))


def _without_separators(text: str) -> str:
    return re.sub(_SEPARATOR, "", text)


def _forms(text: str) -> Iterator[str]:
    """Yield what a text can be read as."""
    for _ in range(_MAX_ENCODINGS):
        decoded = html.unescape(_ESCAPE.sub(_unescape, text))
        if decoded == text:
            break
        yield _without_separators(text)
        yield _without_separators(text).replace("\\", "")
        text = decoded
    text = _without_separators(text)
    yield text
    for match in _BASE64.finditer(text):
        run = match[0].replace("-", "+").replace("_", "/")
        # It can follow other characters of the alphabet.
        for start in range(4):
            aligned = run[start:]
            decoded = base64.b64decode(aligned + "A" * (-len(aligned) % 4)).decode("latin-1")
            yield _without_separators(decoded)
    for match in _HEX.finditer(text):
        for start in range(2):
            aligned = match[0][start:]
            decoded = bytes.fromhex(aligned[: len(aligned) // 2 * 2]).decode("latin-1")
            yield _without_separators(decoded)


def _unescape(match: re.Match[str]) -> str:
    if match["hex"]:
        return chr(int(match["hex"], 16))
    if match["octal"]:
        return chr(int(match["octal"], 8))
    return " " if match["space"] else match["char"]
