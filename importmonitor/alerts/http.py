"""Limits on the HTTP of Apprise's services, which have no option for them (to 2.2).

Redirects are not followed: a POST would become a GET without the message. Bodies have an end.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urljoin, urlsplit

#: Bytes of the body of one response, after decompression. No service sends a tenth of it.
MAX_BODY = 1024 * 1024

_CHUNK_SIZE = 64 * 1024
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


@dataclass
class Exchange:
    """What was wrong with the HTTP of a delivery, in words without secrets; or ""."""

    problem: str = ""


_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextmanager
def limited_http() -> Iterator[Exchange]:
    """Limit the requests that Apprise's services make in this block."""
    _limit_apprise()
    exchange = Exchange()
    token = _exchange.set(exchange)
    try:
        yield exchange
    finally:
        _exchange.reset(token)


def _limit_apprise() -> None:
    """Have the modules of Apprise call `_request`; what others send by it stays as it is."""
    for name, module in list(sys.modules.items()):
        requests = getattr(module, "requests", None) if name.startswith("apprise.") else None
        if isinstance(requests, ModuleType):
            request = partial(_request, requests)
            methods = {method: partial(request, method) for method in _METHODS}
            limited = SimpleNamespace(**vars(requests) | methods | {"request": request})
            vars(module)["requests"] = limited


def _request(requests: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
    """Do what a function of requests does."""
    # By position, after the URL, these have the parameters of a GET, or a body.
    kwargs |= dict(zip(("params",) if method == "get" else ("data", "json"), args, strict=False))
    exchange = _exchange.get()
    if exchange is None:
        if method == "head":
            kwargs.setdefault("allow_redirects", False)
        return requests.request(method, url, **kwargs)
    with requests.Session() as session:
        # requests prepares the next request even where it may not send it.
        session.get_redirect_target = lambda _response: None
        options = kwargs | {"allow_redirects": False, "stream": True}
        response = session.request(method, url, **options)
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_SIZE):
            body += chunk
            if len(body) > MAX_BODY:
                exchange.problem = "the response has no end"
                break
        response._content = bytes(body)  # noqa: SLF001 - where requests keeps the body it has read
    if 300 <= response.status_code < 400:
        exchange.problem = f"redirected by HTTP status {response.status_code}{_target(response)}"
    return response


def _target(response: Any) -> str:
    """Return where a redirect leads; the path and the query of a webhook are secrets."""
    try:
        parts = urlsplit(urljoin(response.url, response.headers.get("Location", "")))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = parts.hostname or ""
    if not host.isprintable() or not host:
        return ""
    return f" to {parts.scheme}://{host[:100]}{port}/…; if that is right, use this address"
