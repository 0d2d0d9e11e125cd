"""The HTTP client: the only module that makes requests to Rocket.Chat, all of them GET.

Never add `getImportFileData`: it is a GET that writes (it runs the prepare step and sets a finished
operation back to `importer_user_selection`).
"""

import json
import math
import os
import random
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLContext
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote, unquote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, LocationValueError
from urllib3.util import parse_url

from importmonitor import __version__
from importmonitor.rocketchat import deadline, exceptions, responses, tls, urls
from importmonitor.rocketchat.clock import clock_offset
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import BadAnswer, RocketChatError, Unreachable
from importmonitor.rocketchat.operation import Operation, json_type, parse_operation
from importmonitor.rocketchat.payload import PRIVATE_KEYS, parse_user_name
from importmonitor.rocketchat.rate_limit import RateLimit, parse_rate_limit
from importmonitor.rocketchat.redaction import redact, redact_json
from importmonitor.rocketchat.responses import LOGIN, ApiResponse
from importmonitor.secret import Secret, trim_traceback

MAX_BODY = 8 * 1024 * 1024
#: A body of empty objects alone needs sixty times its length in memory when decoded.
MAX_VALUES = 500_000
#: As many operations as Rocket.Chat lists.
MAX_OPERATIONS = 20
MAX_ATTEMPTS = 3
#: Seconds for the request of a user's name, which a poll can do without.
USER_DEADLINE = 5.0
#: The pause before the second attempt, in seconds; it doubles with each attempt.
BACKOFF = 0.3

# Decompression can make a chunk a thousand times as long in one step.
_CHUNK_SIZE = 16 * 1024
_RETRIED_STATUSES = frozenset({502, 503, 504})
# requests does not wrap every error from below: a chunk of negative length and an impossible host
# name are ValueErrors, a missing CA bundle is an OSError. Not `Exception`: that of Celery's soft
# time limit has to pass.
_REQUEST_ERRORS = (
    *(requests.RequestException, HTTPError, HTTPException, OSError, ValueError),
    *(TypeError, AttributeError, LookupError, ArithmeticError, RecursionError),
)
_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
#: Their texts quote any part of a URL, and a proxy's contains a password.
_URL_ERRORS = (LocationValueError, requests.exceptions.InvalidURL)


class Client:
    """A client of one workspace, with one kept connection. Not for use by two threads at once.

    `now` is our clock. Of the last response to `current_operation`, `rate_limit` is what it
    announced, None without a rate limit, and `clock_offset` is how far Rocket.Chat's clock is
    ahead of ours, None if it does not say. `response_time` is that of the last response to
    anything.

    Every method raises a RocketChatError within the workspace's deadline, and nothing else.
    """

    def __init__(
        self, workspace: WorkspaceConfig, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.workspace = workspace
        self.rate_limit: RateLimit | None = None
        self.clock_offset: timedelta | None = None
        self.response_time: timedelta | None = None
        #: The last body with a current operation, and what it was parsed to.
        self._last: tuple[bytes | None, Operation] | None = None
        #: The last request with credentials: to prepare one takes as long as half of a poll.
        self._last_request: requests.PreparedRequest | None = None
        self._now = now or (lambda: datetime.now(UTC))
        self._session = _Session()
        # requests would read the environment at every call, which takes longer than the rest of
        # it, and would take a password from ~/.netrc.
        self._session.trust_env = False
        # None: a server's cookies are of no use to this client, and can grow past what it accepts.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": f"importmonitor/{__version__}"}
        )
        self._session.headers.update(workspace.headers)
        #: Why no request can be sent.
        self._problem: str | None = None
        proxy: str | None = None
        try:
            proxy = proxy_for(workspace.url)
        except ValueError as error:
            self._problem = str(error)
        if proxy is not None:
            self._session.proxies = {"all": proxy}
        adapter = _DeadlineAdapter(workspace, proxy or "")
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def current_operation(self) -> Operation | None:
        """Return the operation with the greatest `ts`, or None if nothing was ever imported.

        Requires the permission `run-import`.
        """
        response = self._get("api/v1/getCurrentImportOperation", permission="run-import")
        self.rate_limit = parse_rate_limit(response.headers, response.received_at)
        self.clock_offset = clock_offset(response.headers, response.received_at)
        # Between two polls, hardly ever anything has changed.
        if self._last is not None and self._last[0] == response.body:
            return self._last[1]
        body = self._json(response)
        if not isinstance(body, dict):
            raise self._bad_answer(response, f"an object was expected, not {json_type(body)}")
        document = body.get("operation")
        if document is not None:
            operation = self._operation(response, document)
            self._last = response.body, operation
            return operation
        # Rocket.Chat omits `operation` when there is none; other software sends no `success`.
        if body.get("success") not in (True, "true"):
            raise self._bad_answer(response, "the body has neither `operation` nor `success`")
        return None

    def latest_operations(self) -> list[Operation]:
        """Return the operations that Rocket.Chat lists: at most 20, last updated first.

        Requires the permission `view-import-operations`.
        """
        response = self._get(
            "api/v1/getLatestImportOperations", permission="view-import-operations"
        )
        body = self._json(response)
        if not isinstance(body, list):
            raise self._bad_answer(response, f"an array was expected, not {json_type(body)}")
        return [self._operation(response, document) for document in body[:MAX_OPERATIONS]]

    def user_name(self, user_id: str) -> str:
        """Return a user's name, or the user name if that has none; "" if neither can be read.

        Requires no permission.
        """
        response = self._get(
            f"api/v1/users.info?userId={quote(user_id, safe='')}",
            permission=LOGIN,
            limit=USER_DEADLINE,
        )
        body = self._json(response)
        user = body.get("user") if isinstance(body, dict) else None
        if not isinstance(user, dict):
            raise self._bad_answer(response, "the body has no `user`")
        return parse_user_name(redact_json(user, self.workspace.secrets))

    def version(self) -> str | None:
        """Return Rocket.Chat's version, if it discloses one; the request has no credentials."""
        response = self._get("api/info", permission=None)
        body = self._json(response)
        if not isinstance(body, dict) or body.get("success") not in (True, "true"):
            raise self._bad_answer(response, "the body is not that of Rocket.Chat's /api/info")
        # Up to 6.x the build record is under `info`.
        info = body.get("info")
        version = body.get("version") or (info.get("version") if isinstance(info, dict) else None)
        return redact(version, self.workspace.secrets) if isinstance(version, str) else None

    def _operation(self, response: ApiResponse, document: object) -> Operation:
        try:
            if isinstance(document, dict):
                # Long, and not stored.
                document = {key: document[key] for key in document if key not in PRIVATE_KEYS}
            return parse_operation(redact_json(document, self.workspace.secrets))
        except BadAnswer as error:
            problem = str(error)
        raise self._bad_answer(response, problem)

    def _bad_answer(self, response: ApiResponse, problem: str) -> BadAnswer:
        return BadAnswer(responses.bad_answer_message(self.workspace, response, problem))

    def _json(self, response: ApiResponse) -> Any:
        """Decode a body; raises BadAnswer, also for NaN, which Python accepts but JSON does not."""
        assert response.body is not None
        if sum(map(response.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise self._bad_answer(response, f"the body has more than {MAX_VALUES:,} values")
        try:
            return json.loads(response.body.decode("utf-8-sig"), parse_constant=_reject_constant)
        except UnicodeDecodeError:
            problem = "the body is not UTF-8"
        except RecursionError:
            problem = "its JSON is nested too deeply"
        except json.JSONDecodeError as error:
            position = f" at character {error.pos}" if error.pos else ""
            problem = f"the body is not JSON ({error.msg}{position})"
            if not response.body:
                problem = "the body is empty"
        except ValueError:
            # From int(), whose own message advises programmers to lift Python's limit.
            problem = "it contains a number with too many digits"
        raise self._bad_answer(response, problem)

    def _get(self, path: str, *, permission: str | None, limit: float = math.inf) -> ApiResponse:
        """GET a path, with credentials if it requires a login; return a good response.

        `limit` is the number of seconds that it may take, if the deadline is longer.
        """
        try:
            return self._request(path, permission, min(self.workspace.deadline, limit))
        except BaseException as error:
            # Also of a bug, and of the end of the process in the middle of a request, such as
            # gunicorn's time-out: http.client's frames hold the headers as they are sent.
            trim_traceback(error)
            raise

    def _request(self, path: str, permission: str | None, seconds: float) -> ApiResponse:
        """Do what `_get` does.

        Tries again after a pause when the connection failed or a proxy reports that the server is
        down. urllib3's Retry can do that too, but has no deadline.
        """
        if self._problem is not None:
            raise Unreachable(f"{self._describe(path)} cannot be sent: {self._problem}")
        ends_at = time.monotonic() + seconds
        pause = BACKOFF
        for attempt in range(1, MAX_ATTEMPTS + 1):
            response: ApiResponse | None = None
            failure: RocketChatError | None = None
            can_retry = False
            try:
                response = self._send(
                    path, with_credentials=permission is not None, ends_at=ends_at
                )
            except _REQUEST_ERRORS as error:
                failure, can_retry = self._failure(path, error, ends_at, seconds)
            if response is not None:
                failure = responses.error_for(self.workspace, response, permission)
                # A server that says when to come back is not asked again before that.
                can_retry = (
                    response.status in _RETRIED_STATUSES and "Retry-After" not in response.headers
                )
                if failure is None:
                    return response
            jittered = pause * random.uniform(0.5, 1.5)
            if attempt == MAX_ATTEMPTS or not can_retry or time.monotonic() + jittered >= ends_at:
                break
            time.sleep(jittered)
            pause *= 2
        assert failure is not None
        raise failure

    def _send(self, path: str, *, with_credentials: bool, ends_at: float) -> ApiResponse:
        """Send one request. Raises requests' exceptions, and BadAnswer for too large a body."""
        workspace = self.workspace
        url = f"{workspace.url}/{path}"
        deadline.DEADLINE.set(ends_at)
        started = time.monotonic()
        with self._session.send(
            self._prepare(url, with_credentials=with_credentials),
            timeout=min(workspace.timeout, max(ends_at - time.monotonic(), 0.001)),
            stream=True,
            allow_redirects=False,
        ) as http_response:
            received_at, status = self._now(), http_response.status_code
            # The beginning of an error response is all that its message needs.
            is_good = 200 <= status < 300
            max_size = MAX_BODY if is_good else _CHUNK_SIZE
            body = bytearray()
            for chunk in http_response.iter_content(_CHUNK_SIZE):
                body += chunk
                if len(body) > max_size:
                    break
        self.response_time = timedelta(seconds=time.monotonic() - started)
        response = ApiResponse(
            url=url,
            status=status,
            content_type=http_response.headers.get("Content-Type", ""),
            headers=http_response.headers,
            received_at=received_at,
            body=bytes(body[:max_size]),
        )
        if is_good and len(body) > MAX_BODY:
            raise self._bad_answer(
                response, f"the body is longer than {MAX_BODY // 1024 // 1024} MiB"
            )
        return response

    def _prepare(self, url: str, *, with_credentials: bool) -> requests.PreparedRequest:
        """Return a request of a URL; those with credentials differ by it alone."""
        if not with_credentials:
            return self._session.prepare_request(requests.Request("GET", url))
        if self._last_request is None:
            request = requests.Request("GET", url, auth=self._sign)
            self._last_request = self._session.prepare_request(request)
        elif self._last_request.url != url:
            self._last_request = self._last_request.copy()
            self._last_request.prepare_url(url, None)
        return self._last_request

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-User-Id"] = self.workspace.user_id
        request.headers["X-Auth-Token"] = self.workspace.auth_token
        return request

    def _describe(self, path: str) -> str:
        return f"{self.workspace.alias}: GET {self.workspace.url}/{path}"

    def _failure(
        self, path: str, error: Exception, ends_at: float, seconds: float
    ) -> tuple[RocketChatError, bool]:
        """Return the error for an exception of requests, and whether another attempt can help."""
        workspace = self.workspace
        request = self._describe(path)
        causes = exceptions.cause_chain(error)
        if any(isinstance(cause, _URL_ERRORS) for cause in causes):
            return Unreachable(
                f"{request} failed: the URL of the workspace or of a proxy cannot be read. Check "
                "it, and HTTPS_PROXY and the like: in the password of a proxy, write %2F for '/', "
                "%3F for '?', %23 for '#' and %40 for '@'."
            ), False
        reason = responses.sanitize(workspace, exceptions.root_cause_message(error))
        # A proxy's certificate is refused in an error about the proxy.
        if any(isinstance(cause, ssl.SSLError) for cause in (error, *causes)) or isinstance(
            error, requests.exceptions.SSLError
        ):
            advice = "If your own CA signed the certificate, set CA_BUNDLE to the CA's file."
            if "WRONG_VERSION_NUMBER" in reason:
                advice = "The server does not speak TLS there: is it an http:// address?"
            return Unreachable(f"{request} failed: TLS: {reason}. {advice}"), False
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return BadAnswer(
                f"{request} returned a body that cannot be decompressed. "
                "Check the proxy in front of Rocket.Chat."
            ), False
        if any(isinstance(cause, deadline.ResolverTimeout) for cause in causes):
            return Unreachable(
                f"{request} failed: the name of the server, or of the proxy, was not resolved "
                f"within the deadline of {seconds:g} s. "
                "Is the DNS server reachable from here?"
            ), False
        if time.monotonic() >= ends_at:
            return Unreachable(
                f"{request} did not finish within the deadline of {seconds:g} s. "
                "Is the server overloaded, or DEADLINE too short for it?"
            ), False
        if _is_timeout(error):
            return Unreachable(
                f"{request} timed out: no data for {workspace.timeout:g} s. "
                "Is the server up and reachable from here?"
            ), False
        if isinstance(error, requests.exceptions.ConnectionError):
            return Unreachable(
                f"{request} failed: {reason}. "
                "Is the server up and reachable from here? Is the URL right?"
            ), True
        return Unreachable(
            f"{request} failed: {reason}. Does a proxy in front of it truncate or alter responses? "
            "Are URL and CA_BUNDLE right?"
        ), False


class _Session(requests.Session):
    """A session without redirects: to this client they are responses like any other.

    requests removes `Authorization` when a redirect leads to another host, but no header that it
    does not know: it would send X-Auth-Token to any host. With `allow_redirects=False` it still
    reads the whole body of a redirect, however long (`resolve_redirects`, to 2.34), and fails on a
    `Location` that is not a URL.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _DeadlineAdapter(HTTPAdapter):
    """Makes connections, direct or through an HTTP proxy, that keep the deadline.

    Certificates are verified by one context, which is made when it is first needed. requests would
    trust the authorities of certifi, those of the system would be ignored.
    """

    def __init__(self, workspace: WorkspaceConfig, proxy: str) -> None:
        self._ca_bundle = workspace.ca_bundle
        self._uses_tls = any(url.lower().startswith("https:") for url in (workspace.url, proxy))
        super().__init__()

    @cached_property
    def _context(self) -> SSLContext:
        names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        bundle = self._ca_bundle or next(filter(None, map(os.environ.get, names)), None)
        return tls.make_context(bundle, fallback=requests.utils.DEFAULT_CA_BUNDLE_PATH)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(*args, **kwargs)
        if self._uses_tls:
            pool_kwargs["ssl_context"] = self._context
        return host_params, pool_kwargs

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            proxy_kwargs["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **proxy_kwargs)

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Leave the connection as it is: requests would add certifi's authorities to the context.

        It would also turn verification off for an http workspace, and so for an https proxy.
        """

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = deadline.CONNECTION_CLASSES.get(pool.ConnectionCls, pool.ConnectionCls)
        return pool


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for a URL, None without one.

    Never one for this machine. Raises ValueError, whose text has no credentials, if the URL or the
    proxy's cannot be used.
    """
    try:
        host = urls.read_host(url)
    except ValueError as error:
        raise ValueError(f"the URL cannot be used: {error}.") from None
    if urls.is_loopback(host):
        return None
    # Check the names first: requests goes through all variables twice, which takes several times
    # as long as a call where the environment configures a thousand workspaces.
    names = ("http_proxy", "https_proxy", "all_proxy")
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in names):
        return None
    # Its password stays out of tracebacks.
    proxy = Secret(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or "")
    if not proxy:
        return None
    try:
        # As for curl. Without a scheme, "user:password@host" would have the scheme "user".
        parts = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        # requests sends the password so.
        unquote(parts.auth or "").encode("latin-1")
        # An "@" behind the host is the one before it: the password contains a "/", "?" or "#".
        rest = f"{parts.path}{parts.query}{parts.fragment}"
        if parts.scheme in _PROXY_SCHEMES and parts.host and "@" not in rest:
            return Secret(parts.url)
    except ValueError:
        pass
    raise ValueError(
        "the environment's proxy (http_proxy, https_proxy or all_proxy) is not a URL like "
        "http://user:password@proxy.example.org:3128. In the password, write %2F for /, %3F for ?, "
        "%23 for # and %40 for @."
    )


def proxy_address(proxy: str) -> str:
    """Return a proxy's address without its credentials."""
    return parse_url(proxy)._replace(auth=None).url


def _reject_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, requests.exceptions.Timeout) or any(
        "timed out" in str(cause).lower() for cause in exceptions.cause_chain(error)
    )
