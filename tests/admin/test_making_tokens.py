"""Making an API token in the admin: how long it lasts, and that it is shown once."""

import logging
import re
import shlex
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.signals import got_request_exception
from django.db import connection, connections
from django.test import Client
from django.urls import path
from django.utils import timezone
from django.views.debug import ExceptionReporter

from importmonitor import conf
from importmonitor.models import ApiToken
from tests.admin.helpers import page
from tests.admin.tokens import ADD, ALL, LIST, ask, change, delete, errors, field, make
from tests.api.helpers import NOON, RUNNING, make_user, sync

#: A host that has the admin and none of the endpoints.
urlpatterns = [path("admin/", admin.site.urls)]


class TestShownOnce:
    """The text of a token is in one answer, and nowhere else."""

    @pytest.mark.parametrize(
        ("sessions", "told_by"),
        [("db", "fallback.Fallback"), ("signed_cookies", "cookie.Cookie")],
    )
    def test_it_is_kept_nowhere(
        self,
        ada: User,
        settings: Any,
        caplog: pytest.LogCaptureFixture,
        sessions: str,
        told_by: str,
    ) -> None:
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{sessions}"
        settings.MESSAGE_STORAGE = f"django.contrib.messages.storage.{told_by}Storage"
        hers = Client()
        hers.force_login(ada)
        before = dict(hers.session.items())
        with caplog.at_level(logging.DEBUG):
            response = make(hers)
        text = field(response, "im-token")
        secret = text[ApiToken.PREFIX_LENGTH :]
        assert len(secret) == 43
        assert response.content.decode().count(text) == 2, "the field, and the line for curl"
        assert "no-store" in response["Cache-Control"]
        assert secret not in str(response.headers)
        assert dict(hers.session.items()) == before
        assert "messages" not in response.cookies
        assert secret not in str(hers.cookies)
        assert secret not in caplog.text
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                assert secret not in str(cursor.fetchall()), table
        token = ApiToken.objects.get()
        for url in (LIST, ADD, change(token), delete(token), f"{LIST}{token.pk}/history/"):
            later = hers.get(url).content.decode()
            assert secret not in later
            assert token.digest not in later

    def test_it_is_good(self, hers: Client, ada: User) -> None:
        sync(RUNNING)
        response = make(hers)
        assert field(response, "im-user-id") == str(ada.pk)
        assert ask(response) == 200
        assert str(ApiToken.objects.get()) in page(response).words

    @pytest.mark.parametrize("where", [(conf, "options"), (ApiToken, "refresh_from_db")])
    def test_the_report_of_an_error_has_it_not(
        self, hers: Client, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str]
    ) -> None:
        made, reports = [], []
        issue = type(ApiToken.objects).issue

        def remembering(*args: Any, **named: Any) -> Any:
            made.append(issue(*args, **named))
            return made[-1]

        def fail(*_args: Any) -> None:
            raise RuntimeError("just now")

        def report(request: Any, **_: Any) -> None:
            reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

        monkeypatch.setattr(type(ApiToken.objects), "issue", remembering)
        monkeypatch.setattr(*where, fail)
        got_request_exception.connect(report)
        try:
            hers.raise_request_exception = False
            assert make(hers).status_code == 500
        finally:
            got_request_exception.disconnect(report)
        [[_, text]] = made
        [told] = reports
        assert "just now" in told
        assert "response_add" in told or "save_model" in told
        assert text[ApiToken.PREFIX_LENGTH :] not in told
        assert not ApiToken.objects.exists(), "one that nobody has seen"

    def test_reloading_the_page_makes_no_second(self, hers: Client) -> None:
        text = field(make(hers), "im-token")
        again = make(hers)
        [told] = errors(again)["name"]
        assert str(ApiToken.objects.get()) in told
        assert text not in again.content.decode()

    def test_a_name_is_taken_as_long_as_its_token_lives(self, root: Client, ada: User) -> None:
        make_user("bob")
        assert field(make(root, user="ada"), "im-token")
        assert field(make(root, user="bob"), "im-token")
        assert field(make(root, user="ada", name="grafana 2"), "im-token")
        assert errors(make(root, user="ada", lasts="never"))
        ApiToken.objects.filter(user=ada, name="Grafana").update(expires_at=NOON)
        assert field(make(root, user="ada"), "im-token")
        ApiToken.objects.all().delete()
        assert field(make(root, user="ada"), "im-token")

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="in memory, for one connection")
    @pytest.mark.django_db(transaction=True)
    def test_two_clicks_at_once_make_one(self) -> None:
        ada = make_user("ada", *ALL, is_staff=True)
        clients = [Client(), Client()]
        for client in clients:
            client.force_login(ada)
        barrier = threading.Barrier(len(clients), timeout=30)

        def click(client: Client) -> None:
            barrier.wait()
            make(client)
            connections.close_all()

        threads = [threading.Thread(target=click, args=[each]) for each in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ApiToken.objects.count() == 1

    def test_an_id_is_shown_as_it_is(self, root: Client, settings: Any) -> None:
        settings.USE_THOUSAND_SEPARATOR = True
        User.objects.create(pk=1234567, username="bot")
        assert field(make(root, user="bot"), "im-user-id") == "1234567"

    def test_the_log_says_whose_it_was(self, root: Client, ada: User) -> None:
        make(root, user="ada")
        token = ApiToken.objects.get()
        root.post(delete(token), {"post": "yes"})
        made, gone = LogEntry.objects.order_by("pk")
        assert made.get_change_message() == f"Added API token “Grafana ({token.prefix}…), ada”."
        assert (gone.is_deletion(), gone.object_repr) == (True, str(token))


class TestExpiry:
    """How long a token lasts, which can be chosen without a script."""

    @pytest.mark.parametrize(
        ("lasts", "expected"),
        [
            ("30", timedelta(days=30)),
            ("90", timedelta(days=90)),
            ("365", timedelta(days=365)),
            ("never", None),
        ],
    )
    def test_presets(self, hers: Client, lasts: str, expected: timedelta | None) -> None:
        with time_machine.travel(NOON, tick=False):
            response = make(hers, lasts=lasts)
        assert ApiToken.objects.get().expires_at == (expected and NOON + expected)
        assert ("never" in page(response).words) == (expected is None)

    @pytest.mark.parametrize("given", ["2026-03-25T13:01", "2026-03-25 13:01:00"])
    def test_a_time_in_the_zone_of_the_admin(self, hers: Client, settings: Any, given: str) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        with time_machine.travel(NOON, tick=False):
            assert "Time zone: Europe/Berlin." in page(hers.get(ADD)).words
            assert errors(make(hers, lasts="until", expires_at="2026-03-25T13:00"))
            assert field(make(hers, lasts="until", expires_at=given), "im-token")
        assert ApiToken.objects.get().expires_at == NOON + timedelta(minutes=1)

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"lasts": "until"}, "expires_at"),
            ({"lasts": "until", "expires_at": "2026-03-25T12:00"}, "expires_at"),
            ({"lasts": "until", "expires_at": "0001-01-01T00:00"}, "expires_at"),
            ({"lasts": "until", "expires_at": "2126-04-01T00:00"}, "expires_at"),
            ({"lasts": "until", "expires_at": "9999-12-31T23:59:59"}, "expires_at"),
            ({"lasts": "until", "expires_at": "275760-01-01T00:00"}, "expires_at"),
            ({"lasts": "until", "expires_at": "tomorrow"}, "expires_at"),
            ({"lasts": "365", "expires_at": "2026-05-01T12:00"}, "lasts"),
            ({"lasts": "365", "expires_at": "\0"}, "expires_at"),
            ({"lasts": "never", "expires_at": "2026-05-01T12:00"}, "lasts"),
            ({"lasts": "99999999999"}, "lasts"),
            ({"lasts": ""}, "lasts"),
            ({"name": ""}, "name"),
            ({"name": " \t"}, "name"),
            ({"name": "n" * 101}, "name"),
            ({"name": "a\0b"}, "name"),
        ],
    )
    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
    def test_what_is_refused(
        self, hers: Client, settings: Any, zone: str, fields: dict[str, str], wrong: str
    ) -> None:
        settings.TIME_ZONE = zone
        with time_machine.travel(NOON + timedelta(hours=9), tick=False):
            assert list(errors(make(hers, **fields))) == [wrong]
        assert not ApiToken.objects.exists()

    @pytest.mark.parametrize("user", ["", "nobody", "adah", "\0", "1", "ada\nboss", "u" * 5_000])
    def test_a_user_that_there_is_not(self, root: Client, ada: User, user: str) -> None:
        assert list(errors(make(root, user=user))) == ["user"]
        assert not ApiToken.objects.exists()

    def test_editing_it_ends_a_token_at_once(self, hers: Client) -> None:
        sync(RUNNING)
        with time_machine.travel(NOON, tick=False) as traveller:
            made = make(hers)
            token = ApiToken.objects.get()
            traveller.shift(60)
            assert ask(made) == 200
            response = hers.post(
                change(token), {"name": "Grafana", "expires_at": "2026-03-25T12:00:30"}
            )
            assert response.status_code == 302
            assert ask(made) == 401
            assert hers.post(change(token), {"name": "Grafana", "expires_at": ""}).status_code
            assert ask(made) == 200

    @pytest.mark.parametrize("given", ["0001-01-01T00:00", "2026-03-25T11:59", "9999-12-31T23:59"])
    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
    def test_what_can_be_no_end(
        self, hers: Client, ada: User, settings: Any, zone: str, given: str
    ) -> None:
        with time_machine.travel(NOON, tick=False):
            token, _ = ApiToken.objects.issue(ada)
            settings.TIME_ZONE = zone
            if given.startswith("2026"):
                moment = timezone.localtime(NOON - timedelta(minutes=1))
                given = f"{moment:%Y-%m-%dT%H:%M}"
            found = errors(hers.post(change(token), {"name": "x", "expires_at": given}))
        assert list(found) == ["expires_at"]


class TestWhatIsTold:
    """Beside the token: whether it will be of use, and how to try it."""

    @pytest.mark.parametrize(
        ("codenames", "kind", "words"),
        [
            (["run-import"], None, ""),
            (["view_importoperation"], "info", "can ask the REST API"),
            (["view-import-operations"], "info", "can ask the REST API"),
            (["view_importoperation", "run-import"], None, ""),
            ([], "warning", "may not see imports"),
            (["change_importoperation"], "warning", "may not see imports"),
        ],
    )
    def test_permissions(
        self, root: Client, codenames: list[str], kind: str | None, words: str
    ) -> None:
        make_user("bot", *codenames)
        response = make(root, user="bot")
        assert words in page(response).words
        text = response.content.decode()
        assert re.findall(r'<li class="(info|warning)">', text) == ([kind] if kind else [])

    def test_a_user_who_is_not_active(self, root: Client) -> None:
        make_user("gone", "run-import", is_active=False)
        assert "not active" in page(make(root, user="gone")).words

    @pytest.mark.parametrize("codename", ["run-import", "view_importoperation"])
    @pytest.mark.parametrize("base", ["", "https://imports.example.org"])
    def test_the_line_for_curl(self, root: Client, settings: Any, codename: str, base: str) -> None:
        settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"BASE_URL": base}
        sync(RUNNING)
        make_user("bot", codename)
        program, *arguments, url = shlex.split(field(make(root, user="bot"), "im-curl"))
        assert (program, arguments[::2]) == ("curl", ["-H", "-H"])
        assert url.startswith(f"{base or 'http://testserver'}/api/")
        headers = dict(each.split(": ") for each in arguments[1::2])
        path = url.removeprefix(base or "http://testserver")
        assert Client().get(path, headers=headers).status_code == 200

    def test_no_line_where_nothing_is_mounted(self, root: Client, settings: Any) -> None:
        settings.ROOT_URLCONF = __name__
        assert "curl" not in make(root, user="root").content.decode()

    def test_no_link_fills_in_the_form(self, root: Client) -> None:
        make_user("mallory")
        form = root.get(f"{ADD}?user=mallory&name=x&lasts=never").context["adminform"].form
        assert [form[name].value() for name in ("user", "name", "lasts")] == [None, None, "365"]

    def test_users_are_offered_where_they_are_few(self, root: Client) -> None:
        def offered() -> list[str]:
            listed = root.get(ADD).content.decode().partition("<datalist")[2]
            return re.findall(r'<option value="(\w+)">', listed)

        for number in range(98):
            User.objects.create(username=f"user{number:03}")
        assert offered()[:2] == ["root", "user000"]
        User.objects.create(username="the_hundredth")
        assert "the_hundredth" in offered()
        User.objects.create(username="one_more")
        assert offered() == []
