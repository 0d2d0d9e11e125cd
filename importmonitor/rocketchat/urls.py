"""The host of a workspace's URL, as the HTTP client sees it: what is checked is what is asked."""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

# Without percent escapes: urllib3 decodes them in a host, urllib.parse does not.
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


def read_host(url: str) -> str:
    """Return the host that a request to a URL connects to, in lower case.

    Raises ValueError, which does not repeat the URL, if it is no http(s) URL or if another parser
    could read another host from it.
    """
    # Imported late: urllib3 takes a tenth of a second that a process without polls does not need.
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    if "\\" in url or " " in url or not url.isprintable():
        raise ValueError("it contains a backslash, white space or a control character")
    try:
        requested, parts = parse_url(url), urlsplit(url)
        name, port = parts.hostname or "", parts.port
        if not name.isascii():
            name = parse_url(f"http://{name}").host or ""
    except (LocationParseError, ValueError):
        # Their texts can quote the URL.
        raise ValueError("it is not a URL") from None
    host = requested.host or ""
    if requested.scheme not in {"http", "https"} or not host:
        raise ValueError("it does not start with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ValueError("it contains a user name or password")
    if not _HOST.fullmatch(host) or (host.strip("[]"), requested.port) != (name, port):
        raise ValueError("its host is ambiguous")
    return host.strip("[]")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by whatever name or form of its address."""
    if is_localhost(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Resolvers also accept 127.1, 0x7f000001 and 2130706433.
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_localhost(host: str) -> bool:
    """Return whether a name is `localhost` or below it, which is loopback (RFC 6761, 6.3)."""
    return f".{host.lower().removesuffix('.')}".endswith(".localhost")
