"""The only place from which Rocket.Chat is asked anything. It only ever asks: every call is a GET.

`getImportFileData` must never be added: it is a GET that writes (it runs the prepare step and sets
a finished operation back to `importer_user_selection`).
"""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPException
from types import TracebackType
from typing import Any, NoReturn, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from importmonitor import __version__
from importmonitor.rocketchat import deadline, exceptions, responses
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import BadAnswer, RocketChatError, Unreachable
from importmonitor.rocketchat.operation import Operation, json_type, parse_operation
from importmonitor.rocketchat.rate_limit import RateLimit, parse_rate_limit
from importmonitor.rocketchat.responses import Answer

MAX_BODY = 8 * 1024 * 1024
#: A body of nothing but empty objects would need sixty times its length in memory.
MAX_VALUES = 500_000
ATTEMPTS = 3
#: The pause before the second attempt, in seconds; it doubles before each further one.
BACKOFF = 0.3

# Compressed, a chunk may become a thousand times as long in one step.
_CHUNK = 16 * 1024
_RETRIED = frozenset({502, 503, 504})
# requests lets some of what lies below it through as it is: a negative length of a chunk and a
# host name that cannot be are ValueErrors, a CA bundle that is gone is an OSError.
_TROUBLES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)


class Client:
    """Asks one workspace, over one kept connection. Not for use by two threads at once.

    `now` is the clock by which Rocket.Chat's times for waiting are understood. `budget` is what
    the last call of `current_operation` left, or None where Rocket.Chat sets no limit.

    Every method raises a RocketChatError, within the workspace's deadline, and nothing else.
    """

    def __init__(
        self, workspace: WorkspaceConfig, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.workspace = workspace
        self.rate_limit: RateLimit | None = None
        self._now = now or (lambda: datetime.now(UTC))
        self._session = _Session()
        # Read once, and not at every call: that takes longer than all else in it. Nor is a
        # password to be looked for in ~/.netrc.
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

        Rocket.Chat wants the permission `run-import`.
        """
        answer = self._get("api/v1/getCurrentImportOperation", permission="run-import")
        self.rate_limit = parse_rate_limit(answer.headers, answer.received_at)
        body = self._json(answer)
        if not isinstance(body, dict):
            raise self._refusal(answer, f"an object was expected, not {json_type(body)}")
        document = body.get("operation")
        if document is not None:
            return self._operation(answer, document)
        # Rocket.Chat leaves the key out when there is none; other software has no `success`.
        if body.get("success") not in (True, "true"):
            raise self._refusal(answer, "it holds neither `operation` nor `success`")
        return None

    def latest_operations(self) -> list[Operation]:
        """Return the operations that Rocket.Chat still lists: at most 20, last updated first.

        Rocket.Chat wants the permission `view-import-operations`.
        """
        answer = self._get("api/v1/getLatestImportOperations", permission="view-import-operations")
        body = self._json(answer)
        if not isinstance(body, list):
            raise self._refusal(answer, f"an array was expected, not {json_type(body)}")
        return [self._operation(answer, document) for document in body]

    def version(self) -> str | None:
        """Return Rocket.Chat's version as far as it tells it; asked without credentials."""
        answer = self._get("api/info", permission=None)
        body = self._json(answer)
        if not isinstance(body, dict) or body.get("success") not in (True, "true"):
            raise self._refusal(answer, "it is not what Rocket.Chat answers to /api/info")
        # Until 6.x the whole build record was there, under `info`.
        info = body.get("info")
        version = body.get("version") or (info.get("version") if isinstance(info, dict) else None)
        return version if isinstance(version, str) else None

    def _operation(self, answer: Answer, document: object) -> Operation:
        try:
            return parse_operation(document)
        except BadAnswer as error:
            trouble = str(error)
        raise self._refusal(answer, trouble)

    def _refusal(self, answer: Answer, trouble: str) -> BadAnswer:
        return BadAnswer(responses.bad_answer_text(self.workspace, answer, trouble))

    def _json(self, answer: Answer) -> Any:
        """Decode a body; raises BadAnswer (also for NaN, which is not JSON but Python's)."""
        assert answer.body is not None
        if sum(map(answer.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise self._refusal(answer, f"it holds more than {MAX_VALUES:,} values")
        try:
            return json.loads(answer.body.decode("utf-8-sig"), parse_constant=_no_constant)
        except UnicodeDecodeError:
            trouble = "it is not UTF-8"
        except RecursionError:
            trouble = "its JSON is nested too deeply"
        except json.JSONDecodeError as error:
            where = f" at character {error.pos}" if error.pos else ""
            trouble = f"it is not JSON ({error.msg}{where})" if answer.body else "it is empty"
        except ValueError:
            # From int(), which says how to lift Python's limit: of no use to who reads this.
            trouble = "it holds a number of too many digits"
        raise self._refusal(answer, trouble)

    def _get(self, path: str, *, permission: str | None) -> Answer:
        """GET a path with credentials if it wants a permission; return a good answer.

        Tries again, with a pause, when the connection failed or a proxy says that the server is
        away: urllib3's Retry would do that too, but knows no deadline.
        """
        ends_at = time.monotonic() + self.workspace.deadline
        pause = BACKOFF
        for attempt in range(1, ATTEMPTS + 1):
            answer: Answer | None = None
            failure: RocketChatError | None = None
            again = False
            try:
                answer = self._get_once(path, credentials=permission is not None, ends_at=ends_at)
            except _TROUBLES as error:
                failure, again = self._failure(path, error, ends_at)
            if answer is not None:
                failure = responses.error_in(self.workspace, answer, permission)
                again = answer.status in _RETRIED
                if failure is None:
                    return answer
            jittered = pause * random.uniform(0.5, 1.5)
            if attempt == ATTEMPTS or not again or time.monotonic() + jittered >= ends_at:
                break
            time.sleep(jittered)
            pause *= 2
        # Raised here and not where it was caught: an error in its context would carry frames of
        # requests with it, and in their local variables the headers with the token.
        assert failure is not None
        raise failure

    def _get_once(self, path: str, *, credentials: bool, ends_at: float) -> Answer:
        """Ask once. Raises requests' exceptions, and BadAnswer for a body that is too large."""
        workspace = self.workspace
        url = f"{workspace.url}/{path}"
        timeout = min(workspace.timeout, max(ends_at - time.monotonic(), 0.001))
        with (
            deadline.keeping(ends_at),
            self._session.get(
                url,
                auth=self._sign if credentials else None,
                timeout=timeout,
                verify=self._verify,
                stream=True,
                allow_redirects=False,
            ) as response,
        ):
            answer = Answer(
                url=url,
                status=response.status_code,
                content_type=response.headers.get("Content-Type", ""),
                headers=response.headers,
                received_at=self._now(),
            )
            # Of what is not a good answer, the beginning tells all that there is to tell.
            good = 200 <= response.status_code < 300
            longest = MAX_BODY if good else _CHUNK
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > longest:
                    break
        read = responses.redact_secrets(bytes(body[:longest]), workspace.auth_token)
        answer = replace(answer, body=read)
        if good and len(body) > MAX_BODY:
            raise self._refusal(answer, f"it is longer than {MAX_BODY // 1024 // 1024} MiB")
        return answer

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-User-Id"] = self.workspace.user_id
        request.headers["X-Auth-Token"] = self.workspace.auth_token
        return request

    def _failure(self, path: str, error: Exception, ends_at: float) -> tuple[RocketChatError, bool]:
        """Tell what requests stumbled over, and whether to try once more."""
        workspace = self.workspace
        asked = f"{workspace.alias}: GET {workspace.url}/{path}"
        reason = responses.sanitize(workspace, exceptions.reason(error))
        if isinstance(error, requests.exceptions.SSLError):
            advice = (
                "If an authority of your own signed the certificate, give its file as CA_BUNDLE."
            )
            if "WRONG_VERSION_NUMBER" in reason:
                advice = "What answers there speaks no TLS: is it an http:// address?"
            return Unreachable(f"{asked} failed: TLS: {reason}. {advice}"), False
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return BadAnswer(
                f"{asked} was answered with a body that cannot be decompressed. "
                "Look at the proxy in front of Rocket.Chat."
            ), False
        if time.monotonic() >= ends_at:
            return Unreachable(
                f"{asked} was not answered within the deadline of {workspace.deadline:g} s. "
                "Is the server overloaded, or DEADLINE too short for it?"
            ), False
        if _is_timeout(error):
            return Unreachable(
                f"{asked} was not answered: nothing came for {workspace.timeout:g} s. "
                "Is the server up, and can it be reached from here?"
            ), False
        if isinstance(error, requests.exceptions.ConnectionError):
            return Unreachable(
                f"{asked} failed: {reason}. "
                "Is the server up, and can it be reached from here? Is the URL right?"
            ), True
        return Unreachable(
            f"{asked} failed: {reason}. Is there a proxy in front that cuts or mangles answers? "
            "Are URL and CA_BUNDLE right?"
        ), False


class _Session(requests.Session):
    """Knows no redirects: what points elsewhere is an answer like any other.

    requests takes `Authorization` off a redirect to another host, but no header that it does not
    know: it would hand X-Auth-Token to whoever is there. Told not to follow, it still reads the
    whole body of a redirect, however long (`resolve_redirects`, to 2.34), and fails on a
    `Location` that is no URL.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _DeadlineAdapter(HTTPAdapter):
    """Makes connections, direct or through an HTTP proxy, that keep the deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = deadline.POOL_CLASSES

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        # A SOCKS proxy needs urllib3's own connections for it; the time-outs hold there.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = deadline.POOL_CLASSES
        return manager


def _proxies(url: str) -> dict[str, str]:
    """Return the proxies that the environment names for a URL."""
    # Asked by name first: requests goes through all variables, twice, and where there are those of
    # a thousand workspaces that takes several times as long as a call.
    names = ("http_proxy", "https_proxy", "all_proxy")
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in names):
        return {}
    return requests.utils.get_environ_proxies(url)


def _no_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, requests.exceptions.Timeout) or any(
        "timed out" in str(cause).lower() for cause in exceptions.causes(error)
    )
