"""The HTTP client: the only module that makes requests to Rocket.Chat, all of them GET.

Never add `getImportFileData`: it is a GET that writes (it runs the prepare step and sets a finished
operation back to `importer_user_selection`).
"""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from types import TracebackType
from typing import Any, NoReturn, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, LocationValueError

from importmonitor import __version__
from importmonitor.rocketchat import deadline, exceptions, responses
from importmonitor.rocketchat.clock import clock_offset
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import BadAnswer, RocketChatError, Unreachable
from importmonitor.rocketchat.operation import Operation, json_type, parse_operation
from importmonitor.rocketchat.payload import PRIVATE_KEYS
from importmonitor.rocketchat.rate_limit import RateLimit, parse_rate_limit
from importmonitor.rocketchat.redaction import redact, redact_json
from importmonitor.rocketchat.responses import ApiResponse

MAX_BODY = 8 * 1024 * 1024
#: A body of empty objects alone needs sixty times its length in memory when decoded.
MAX_VALUES = 500_000
MAX_ATTEMPTS = 3
#: The pause before the second attempt, in seconds; it doubles with each attempt.
BACKOFF = 0.3

# Decompression can make a chunk a thousand times as long in one step.
_CHUNK_SIZE = 16 * 1024
_RETRIED_STATUSES = frozenset({502, 503, 504})
# requests does not wrap every error from below: a chunk of negative length and an impossible host
# name are ValueErrors, a missing CA bundle is an OSError.
_REQUEST_ERRORS = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
#: Their texts quote any part of a URL, and a proxy's contains a password.
_URL_ERRORS = (LocationValueError, requests.exceptions.InvalidURL)


class Client:
    """A client of one workspace, with one kept connection. Not for use by two threads at once.

    `now` is our clock. Of the last response to `current_operation`, `rate_limit` is what it
    announced, None without a rate limit, and `clock_offset` is how far Rocket.Chat's clock is
    ahead of ours, None if it does not say.

    Every method raises a RocketChatError within the workspace's deadline, and nothing else.
    """

    def __init__(
        self, workspace: WorkspaceConfig, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.workspace = workspace
        self.rate_limit: RateLimit | None = None
        self.clock_offset: timedelta | None = None
        #: The last body with a current operation, and what it was parsed to.
        self._last: tuple[bytes | None, Operation] | None = None
        self._now = now or (lambda: datetime.now(UTC))
        self._session = _Session()
        # requests would read the environment at every call, which takes longer than the rest of
        # it, and would take a password from ~/.netrc.
        self._session.trust_env = False
        self._session.proxies = _proxies(workspace.url)
        bundles = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        self._verify = workspace.ca_bundle or next(filter(None, map(os.environ.get, bundles)), True)
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": f"importmonitor/{__version__}"}
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _DeadlineAdapter())

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
        return [self._operation(response, document) for document in body]

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

    def _get(self, path: str, *, permission: str | None) -> ApiResponse:
        """GET a path, with credentials if it requires a permission; return a good response.

        Tries again after a pause when the connection failed or a proxy reports that the server is
        down. urllib3's Retry can do that too, but has no deadline.
        """
        ends_at = time.monotonic() + self.workspace.deadline
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
                failure, can_retry = self._failure(path, error, ends_at)
            if response is not None:
                failure = responses.error_for(self.workspace, response, permission)
                can_retry = response.status in _RETRIED_STATUSES
                if failure is None:
                    return response
            jittered = pause * random.uniform(0.5, 1.5)
            if attempt == MAX_ATTEMPTS or not can_retry or time.monotonic() + jittered >= ends_at:
                break
            time.sleep(jittered)
            pause *= 2
        # Raised here and not in the `except` block: an error in its context would carry frames of
        # requests with it, whose local variables hold the headers with the token.
        assert failure is not None
        raise failure

    def _send(self, path: str, *, with_credentials: bool, ends_at: float) -> ApiResponse:
        """Send one request. Raises requests' exceptions, and BadAnswer for too large a body."""
        workspace = self.workspace
        url = f"{workspace.url}/{path}"
        deadline.DEADLINE.set(ends_at)
        with self._session.get(
            url,
            auth=self._sign if with_credentials else None,
            timeout=min(workspace.timeout, max(ends_at - time.monotonic(), 0.001)),
            verify=self._verify,
            stream=True,
            allow_redirects=False,
        ) as http_response:
            response = ApiResponse(
                url=url,
                status=http_response.status_code,
                content_type=http_response.headers.get("Content-Type", ""),
                headers=http_response.headers,
                received_at=self._now(),
            )
            # The beginning of an error response is all that its message needs.
            is_good = 200 <= response.status < 300
            max_size = MAX_BODY if is_good else _CHUNK_SIZE
            body = bytearray()
            for chunk in http_response.iter_content(_CHUNK_SIZE):
                body += chunk
                if len(body) > max_size:
                    break
        response = replace(response, body=bytes(body[:max_size]))
        if is_good and len(body) > MAX_BODY:
            raise self._bad_answer(
                response, f"the body is longer than {MAX_BODY // 1024 // 1024} MiB"
            )
        return response

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-User-Id"] = self.workspace.user_id
        request.headers["X-Auth-Token"] = self.workspace.auth_token
        return request

    def _failure(self, path: str, error: Exception, ends_at: float) -> tuple[RocketChatError, bool]:
        """Return the error for an exception of requests, and whether another attempt can help."""
        workspace = self.workspace
        request = f"{workspace.alias}: GET {workspace.url}/{path}"
        if any(isinstance(cause, _URL_ERRORS) for cause in exceptions.cause_chain(error)):
            return Unreachable(
                f"{request} failed: the URL of the workspace or of a proxy cannot be read. Check "
                "it, and HTTPS_PROXY and the like: in the password of a proxy, write %2F for '/', "
                "%3F for '?', %23 for '#' and %40 for '@'."
            ), False
        reason = responses.sanitize(workspace, exceptions.root_cause_message(error))
        if isinstance(error, requests.exceptions.SSLError):
            advice = "If your own CA signed the certificate, set CA_BUNDLE to the CA's file."
            if "WRONG_VERSION_NUMBER" in reason:
                advice = "The server does not speak TLS there: is it an http:// address?"
            return Unreachable(f"{request} failed: TLS: {reason}. {advice}"), False
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return BadAnswer(
                f"{request} returned a body that cannot be decompressed. "
                "Check the proxy in front of Rocket.Chat."
            ), False
        if time.monotonic() >= ends_at:
            return Unreachable(
                f"{request} did not finish within the deadline of {workspace.deadline:g} s. "
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
    """Makes connections, direct or through an HTTP proxy, that keep the deadline."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = deadline.CONNECTION_CLASSES.get(pool.ConnectionCls, pool.ConnectionCls)
        return pool


def _proxies(url: str) -> dict[str, str]:
    """Return the proxies that the environment names for a URL."""
    # Check the names first: requests goes through all variables twice, which takes several times
    # as long as a call where the environment configures a thousand workspaces.
    names = ("http_proxy", "https_proxy", "all_proxy")
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in names):
        return {}
    return requests.utils.get_environ_proxies(url)


def _reject_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, requests.exceptions.Timeout) or any(
        "timed out" in str(cause).lower() for cause in exceptions.cause_chain(error)
    )
