"""Tokens: last use, bearer tokens, and wrong tokens."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import InternalError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from importmonitor.api.authentication import BearerAuthentication
from importmonitor.models import ApiToken
from tests.api.helpers import NOON, PATH, RUNNING, sync
from tests.api.test_rate_limits import TOO_MANY, set_rates
from tests.api.test_responses import LOGGED_OUT, assert_rocketchat

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as ClientResponse


def last_used_at() -> Any:
    return ApiToken.objects.values_list("last_used_at", flat=True).get()


class TestLastUse:
    """It is recorded once a minute at most, and never prevents a response."""

    @pytest.fixture(autouse=True)
    def _synced(self, headers: dict[str, str]) -> None:
        sync(RUNNING)

    def test_use_is_recorded_once_per_minute(self, client: Client, headers: dict[str, str]) -> None:
        assert last_used_at() is None
        for seconds, written in [(0, 0), (1, 0), (59.9, 0), (60, 60), (61, 60), (600, 600)]:
            at = NOON + timedelta(seconds=seconds)
            with time_machine.travel(at, tick=False), CaptureQueriesContext(connection) as queries:
                assert client.get(PATH, headers=headers).status_code == 200
            writes = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
            assert len(writes) == (seconds == written), writes
            assert last_used_at() == NOON + timedelta(seconds=written)

    def test_one_of_two_processes_records_use(self, headers: dict[str, str]) -> None:
        first, second = ApiToken.objects.get(), ApiToken.objects.get()
        with time_machine.travel(NOON, tick=False):
            first.record_use()
        with time_machine.travel(NOON + timedelta(seconds=1), tick=False):
            second.record_use()
        assert last_used_at() == NOON

    @pytest.mark.parametrize("error", [OperationalError, InternalError])
    def test_readonly_database_does_not_prevent_use(
        self, client: Client, headers: dict[str, str], error: type[Exception]
    ) -> None:
        def refuse(execute: Any, sql: str, *rest: Any) -> Any:
            if sql.startswith("UPDATE"):
                raise error("attempt to write a readonly database")
            return execute(sql, *rest)

        with connection.execute_wrapper(refuse):
            assert client.get(PATH, headers=headers).json()["operation"] == RUNNING
        assert last_used_at() is None

    def test_refused_token_is_not_used(
        self, client: Client, tool: User, headers: dict[str, str]
    ) -> None:
        for wrong in ({"X-Auth-Token": headers["X-Auth-Token"][:-1]}, {"X-User-Id": "0"}):
            assert client.get(PATH, headers=headers | wrong).status_code == 401
        ApiToken.objects.update(expires_at=NOON)
        assert client.get(PATH, headers=headers).status_code == 401
        assert last_used_at() is None


class ForeignBearer(BaseAuthentication):
    """Accepts another application's bearer token."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        if request.headers.get("Authorization") != "Bearer mellon":
            return None
        return User(username="gandalf"), None


class CurrentUserView(APIView):
    """Returns the name of the user."""

    authentication_classes = [BearerAuthentication, ForeignBearer]
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        if request.auth is not None:
            assert isinstance(request.auth, ApiToken)
            assert request.auth.user == request.user
        return Response(request.user.get_username())


class TestBearer:
    """BearerAuthentication in a view of the host."""

    @pytest.fixture
    def text(self, tool: User) -> str:
        return ApiToken.objects.issue(tool)[1]

    @pytest.fixture
    def fetch(self) -> Callable[[str], Response]:
        def fetch(authorization: str) -> Response:
            request = APIRequestFactory().get("/", headers={"Authorization": authorization})
            response = CurrentUserView.as_view()(request)
            assert isinstance(response, Response)
            return response

        return fetch

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
    def test_scheme_is_case_insensitive(self, fetch: Any, text: str, scheme: str) -> None:
        assert (fetch(f"{scheme} {text}").data, last_used_at() is None) == ("tool", False)

    def test_all_issued_tokens_are_recognized(self, fetch: Any, tool: User) -> None:
        for _ in range(200):
            assert fetch(f"Bearer {ApiToken.objects.issue(tool)[1]}").data == "tool"

    def test_foreign_tokens_are_left_to_other_authenticators(
        self, fetch: Any, text: str, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        foreign = ["", "Bearer", "Bearer ", "Bearer eyJ0.eyJzdWIi.c2ln", f"Token {text}", text]
        foreign += [f"Bearer {text}x", f"Bearer {text[:-1]}", f"Bearer {text} x", f"Bearer\t{text}"]
        foreign += [f"Bearer {text}\n", f"Bearer g{text[1:]}", f"Bearer {text[:-1]}ü", "Basic Og=="]
        foreign += [f"Bearer {text[:-1]}.", f" Bearer {text}", f"Bearer,Bearer {text}"]
        with django_assert_num_queries(0):
            assert {fetch(authorization).data for authorization in foreign} == {""}
            assert fetch("Bearer mellon").data == "gandalf"

    def test_invalid_token_is_401(self, fetch: Any, text: str, tool: User) -> None:
        def assert_refused(token: str) -> None:
            response = fetch(f"Bearer {token}")
            assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
            assert text not in str(response.data)

        upper = text[: ApiToken.PREFIX_LENGTH].upper() + text[ApiToken.PREFIX_LENGTH :]
        wrong = [text[:-1] + ("A" if text[-1] != "A" else "B"), "0" * 55]
        # The prefix may have no letter.
        for token in {*wrong, upper} - {text}:
            assert_refused(token)
        ApiToken.objects.update(expires_at=NOON)
        assert_refused(text)
        ApiToken.objects.update(expires_at=None)
        assert fetch(f"Bearer {text}").data == "tool"
        User.objects.update(is_active=False)
        assert_refused(text)
        User.objects.update(is_active=True)
        ApiToken.objects.all().delete()
        assert_refused(text)

    def test_too_many_wrong_tokens_are_429(self, fetch: Any, text: str, settings: Any) -> None:
        set_rates(settings, None, "2/day")
        wrong = [fetch(f"Bearer {number:055}") for number in range(3)]
        assert [response.status_code for response in wrong] == [401, 401, 429]
        assert 1 <= int(wrong[2]["Retry-After"]) <= 86_400
        assert fetch(f"Bearer {text}").data == "tool"


@pytest.mark.parametrize(
    "form",
    [
        "+{}",
        "0{}",
        "00{}",
        "{}.0",
        "{}e0",
        " {}",
        "{} ",
        "{}\0",
        "-{}",
        "0x{}",
        "{}L",
        "{},{}",
        "'{}'",
    ],
)
def test_user_id_must_match_exactly(client: Client, headers: dict[str, str], form: str) -> None:
    token, user_id = headers["X-Auth-Token"], headers["X-User-Id"]
    assert ApiToken.objects.authenticate(token, user_id) is not None
    altered_id = form.format(user_id, user_id)
    assert ApiToken.objects.authenticate(token, altered_id) is None
    other = client.get(PATH, headers=headers | {"X-User-Id": altered_id})
    assert_rocketchat(other, 401, LOGGED_OUT)


@pytest.mark.parametrize("zero", ["٠", "０", "𝟎", "०"])
def test_other_digits_are_not_a_user_id(headers: dict[str, str], zero: str) -> None:
    digits = "".join(chr(ord(zero) + int(digit)) for digit in headers["X-User-Id"])
    assert int(digits) == int(headers["X-User-Id"])
    assert ApiToken.objects.authenticate(headers["X-Auth-Token"], digits) is None


def test_malformed_token_costs_no_query(
    headers: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    text = headers["X-Auth-Token"]
    with django_assert_num_queries(0):
        for wrong in ("\0", text + "\n", text[:-1] + "ü", "\ud800" * 55, "\x7f"):
            assert ApiToken.objects.authenticate(wrong) is None
    with django_assert_num_queries(1):
        assert ApiToken.objects.authenticate("x" * 100_000) is None


def test_unauthenticated_user_can_be_none(client: Client, db: None, settings: Any) -> None:
    """`UNAUTHENTICATED_USER: None` is documented by DRF."""
    settings.REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}
    assert_rocketchat(client.get(PATH), 401, LOGGED_OUT)


@pytest.mark.parametrize("credentials", ["\0tool:secret", "\0:", "ü\0:\0"])
def test_nul_in_basic_credentials_is_401(client: Client, tool: User, credentials: str) -> None:
    basic = "Basic " + base64.b64encode(credentials.encode()).decode()
    assert_rocketchat(client.get(PATH, headers={"Authorization": basic}), 401, LOGGED_OUT)


def test_user_model_without_permissions_is_403(
    client: Client, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user model without PermissionsMixin (`AbstractBaseUser`)."""

    class Bare:
        is_authenticated, pk = True, 1

    monkeypatch.setattr(BaseAuthentication, "authenticate", lambda *_: (Bare(), None))
    monkeypatch.setattr(APIView, "authentication_classes", [BaseAuthentication])
    assert client.get(PATH).status_code == 403


class TestWrongTokens:
    """Too many wrong tokens from one address are refused; valid ones never are."""

    @pytest.fixture(autouse=True)
    def traveller(self) -> Iterator[time_machine.Traveller]:
        """Freeze time 13.5 s into a minute."""
        with time_machine.travel(NOON + timedelta(seconds=13.5), tick=False) as traveller:
            yield traveller

    @pytest.fixture
    def guess(self, client: Client, headers: dict[str, str]) -> Any:
        def guess(number: int = 0, **more: Any) -> "ClientResponse":
            wrong = {"X-User-Id": headers["X-User-Id"], "X-Auth-Token": f"{number:055}"}
            return client.get(PATH, headers=wrong | more.pop("headers", {}), **more)

        return guess

    def test_101st_wrong_token_in_a_minute_is_429(
        self,
        client: Client,
        headers: dict[str, str],
        guess: Any,
        traveller: time_machine.Traveller,
    ) -> None:
        assert {guess(number).status_code for number in range(100)} == {401}
        response = guess()
        assert_rocketchat(response, 429, TOO_MANY.format(47).encode())
        assert "Retry-After" not in response
        assert_rocketchat(guess(REMOTE_ADDR="192.0.2.7"), 401, LOGGED_OUT)
        sync(RUNNING)
        assert_rocketchat(client.get(PATH, headers=headers), 200)
        assert guess().status_code == 429
        traveller.shift(46.5)
        assert_rocketchat(guess(), 401, LOGGED_OUT)

    def test_all_wrong_credentials_count_together(
        self, client: Client, guess: Any, settings: Any, headers: dict[str, str]
    ) -> None:
        set_rates(settings, None, "4/min")
        token, user_id = headers["X-Auth-Token"], headers["X-User-Id"]
        for wrong in (
            {"X-User-Id": user_id},
            {"X-Auth-Token": token},
            {"X-User-Id": f"0{user_id}", "X-Auth-Token": token},
            {"X-User-Id": user_id, "X-Auth-Token": "ü"},
        ):
            assert client.get(PATH, headers=wrong).status_code == 401
        assert guess().status_code == 429
        # A request without a token is not a wrong token.
        assert client.get(PATH).status_code == 401

    def test_limit_can_be_disabled(self, guess: Any, settings: Any) -> None:
        set_rates(settings, "1/min", None)
        assert [guess().status_code for _ in range(9)] == [401] * 9

    def test_limit_applies_despite_session(
        self, client: Client, guess: Any, tool: User, settings: Any
    ) -> None:
        set_rates(settings, None, "1/min")
        sync(RUNNING)
        client.force_login(tool)
        assert [guess().status_code for _ in range(2)] == [401, 429]
        assert client.get(PATH).status_code == 200

    def test_num_proxies_selects_the_address(self, guess: Any, settings: Any) -> None:
        rates = {"importmonitor_wrong_tokens": "1/min"}
        settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": rates, "NUM_PROXIES": 1}
        statuses = [
            guess(headers={"X-Forwarded-For": f"{forged}, {address}"}).status_code
            for forged in ("1.1.1.1", "2.2.2.2")
            for address in ("192.0.2.7", "192.0.2.8")
        ]
        assert statuses == [401, 401, 429, 429]

    def test_forwarded_address_is_not_trusted_by_default(self, guess: Any, settings: Any) -> None:
        set_rates(settings, None, "1/min")
        forged = [{"X-Forwarded-For": f"192.0.2.{number}"} for number in range(3)]
        assert [guess(headers=forwarded).status_code for forwarded in forged] == [401, 429, 429]

    def test_missing_remote_addr_is_accepted(self, guess: Any) -> None:
        """As ASGI servers on a Unix socket do."""
        assert_rocketchat(guess(REMOTE_ADDR=None), 401, LOGGED_OUT)
