"""Creating an API token in the admin: shown once, for the right user, with a valid expiry."""

import logging
import re
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.signals import got_request_exception
from django.db import connection, connections
from django.test import Client
from django.views.debug import ExceptionReporter

from importmonitor.admin import times
from importmonitor.models import ApiToken
from tests.admin.helpers import page
from tests.admin.tokens import (
    ADD,
    ALL,
    LIST,
    change_url,
    create,
    delete_url,
    errors,
    expiry,
    field,
    history_url,
    request_status,
)
from tests.api.helpers import NOON, RUNNING, make_user, sync


class TestShownOnce:
    """The text of a token is in one response, and nowhere else."""

    @pytest.mark.parametrize(
        ("sessions", "messages"),
        [("db", "fallback.Fallback"), ("signed_cookies", "cookie.Cookie")],
    )
    def test_token_is_stored_nowhere(
        self,
        ada: User,
        settings: Any,
        caplog: pytest.LogCaptureFixture,
        sessions: str,
        messages: str,
    ) -> None:
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{sessions}"
        settings.MESSAGE_STORAGE = f"django.contrib.messages.storage.{messages}Storage"
        client = Client()
        client.force_login(ada)
        session = dict(client.session.items())
        with caplog.at_level(logging.DEBUG):
            response = create(client)
        text = field(response, "im-token")
        secret = text[ApiToken.PREFIX_LENGTH :]
        assert len(secret) == 43
        assert response.content.decode().count(text) == 1
        assert "no-store" in response["Cache-Control"]
        assert secret not in str(response.headers)
        assert dict(client.session.items()) == session
        assert "messages" not in response.cookies
        assert secret not in str(client.cookies)
        assert secret not in caplog.text
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                assert secret not in str(cursor.fetchall()), table
        token = ApiToken.objects.get()
        for url in (LIST, ADD, change_url(token), delete_url(token), history_url(token)):
            content = client.get(url).content.decode()
            assert secret not in content
            assert token.digest not in content

    def test_shown_token_works(self, hers: Client, ada: User) -> None:
        sync(RUNNING)
        response = create(hers)
        assert field(response, "im-user-id") == str(ada.pk)
        assert request_status(response) == 200
        assert str(ApiToken.objects.get()) in page(response).words

    @pytest.mark.parametrize("failing", [(times, "format_time"), (ApiToken, "refresh_from_db")])
    def test_error_report_does_not_contain_the_token(
        self, hers: Client, monkeypatch: pytest.MonkeyPatch, failing: tuple[Any, str]
    ) -> None:
        issued, reports = [], []
        issue = type(ApiToken.objects).issue

        def issue_and_record(*args: Any, **kwargs: Any) -> Any:
            issued.append(issue(*args, **kwargs))
            return issued[-1]

        def fail(*_args: Any) -> None:
            raise RuntimeError("just now")

        def report(request: Any, **_: Any) -> None:
            reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

        monkeypatch.setattr(type(ApiToken.objects), "issue", issue_and_record)
        monkeypatch.setattr(*failing, fail)
        got_request_exception.connect(report)
        try:
            hers.raise_request_exception = False
            assert create(hers).status_code == 500
        finally:
            got_request_exception.disconnect(report)
        [[_, text]] = issued
        [html] = reports
        assert "just now" in html
        assert "response_add" in html or "save_model" in html
        assert text[ApiToken.PREFIX_LENGTH :] not in html
        assert not ApiToken.objects.exists(), "no token is left that was never shown"

    def test_reloading_the_page_creates_no_second_token(self, hers: Client) -> None:
        text = field(create(hers), "im-token")
        reloaded = create(hers)
        assert list(errors(reloaded)) == ["name"]
        assert text not in reloaded.content.decode()
        assert ApiToken.objects.count() == 1

    def test_name_is_taken_while_its_token_is_valid(self, root: Client, ada: User) -> None:
        make_user("bob")
        assert field(create(root, user="ada"), "im-token")
        assert field(create(root, user="bob"), "im-token")
        assert field(create(root, user="ada", name="grafana 2"), "im-token")
        assert errors(create(root, user="ada"))
        ApiToken.objects.filter(user=ada, name="Grafana").update(expires_at=NOON)
        assert field(create(root, user="ada"), "im-token")
        ApiToken.objects.all().delete()
        assert field(create(root, user="ada"), "im-token")

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="in memory, for one connection")
    @pytest.mark.django_db(transaction=True)
    def test_two_simultaneous_clicks_create_one_token(self) -> None:
        ada = make_user("ada", *ALL, is_staff=True)
        clients = [Client(), Client()]
        for client in clients:
            client.force_login(ada)
        barrier = threading.Barrier(len(clients), timeout=30)

        def click(client: Client) -> None:
            barrier.wait()
            create(client)
            connections.close_all()

        threads = [threading.Thread(target=click, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ApiToken.objects.count() == 1

    def test_user_id_is_not_localized(self, root: Client, settings: Any) -> None:
        settings.USE_THOUSAND_SEPARATOR = True
        User.objects.create(pk=1234567, username="bot")
        assert field(create(root, user="bot"), "im-user-id") == "1234567"

    def test_admin_log_names_the_owner(self, root: Client, ada: User) -> None:
        create(root, user="ada")
        token = ApiToken.objects.get()
        root.post(delete_url(token), {"post": "yes"})
        addition, deletion = LogEntry.objects.order_by("pk")
        message = f"Added API token “Grafana ({token.prefix}…), ada”."
        assert addition.get_change_message() == message
        assert (deletion.is_deletion(), deletion.object_repr) == (True, str(token))


class TestForm:
    def test_new_token_expires_in_a_year_unless_changed(self, hers: Client) -> None:
        with time_machine.travel(NOON, tick=False):
            form = hers.get(ADD).context["adminform"].form
        assert form["expires_at"].value() == NOON + timedelta(days=365)

    def test_token_without_expiry_never_expires(self, hers: Client) -> None:
        assert "never" in page(create(hers)).words
        assert ApiToken.objects.get().expires_at is None

    def test_expiry_is_in_the_current_zone(self, hers: Client, settings: Any) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        with time_machine.travel(NOON, tick=False):
            assert errors(create(hers, **expiry("2026-03-25", "13:00")))
            assert field(create(hers, **expiry("2026-03-25", "13:01")), "im-token")
        assert ApiToken.objects.get().expires_at == NOON + timedelta(minutes=1)

    @pytest.mark.thorough(one_in=3)
    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            (expiry("2026-03-25", "12:00"), "expires_at"),
            (expiry("0001-01-01"), "expires_at"),
            (expiry("2126-04-01"), "expires_at"),
            (expiry("9999-12-31", "23:59:59"), "expires_at"),
            (expiry("275760-01-01"), "expires_at"),
            (expiry("tomorrow"), "expires_at"),
            (expiry("2026-05-01", ""), "expires_at"),
            (expiry("\0"), "expires_at"),
            ({"name": ""}, "name"),
            ({"name": " \t"}, "name"),
            ({"name": "n" * 101}, "name"),
            ({"name": "a\0b"}, "name"),
        ],
    )
    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
    def test_invalid_values_are_refused(
        self, hers: Client, settings: Any, zone: str, fields: dict[str, str], wrong: str
    ) -> None:
        settings.TIME_ZONE = zone
        with time_machine.travel(NOON + timedelta(hours=9), tick=False):
            assert list(errors(create(hers, **fields))) == [wrong]
        assert not ApiToken.objects.exists()

    @pytest.mark.parametrize("user", ["", "nobody", "adah", "\0", "1", "ada\nboss", "u" * 5_000])
    def test_unknown_user_is_refused(self, root: Client, ada: User, user: str) -> None:
        assert list(errors(create(root, user=user))) == ["user"]
        assert not ApiToken.objects.exists()

    def test_link_does_not_fill_in_the_form(self, root: Client) -> None:
        make_user("mallory")
        form = root.get(f"{ADD}?user=mallory&name=x&expires_at=").context["adminform"].form
        assert [form[name].value() for name in ("user", "name")] == [None, None]
        assert form["expires_at"].value()

    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
    @pytest.mark.parametrize(
        "fields",
        [
            expiry("0001-01-01"),
            expiry("2026-03-24", "11:59"),
            expiry("9999-12-31", "23:59"),
        ],
    )
    def test_expiry_cannot_be_changed_to_the_past_or_beyond_a_century(
        self, hers: Client, ada: User, settings: Any, zone: str, fields: dict[str, str]
    ) -> None:
        settings.TIME_ZONE = zone
        with time_machine.travel(NOON, tick=False):
            token, _ = ApiToken.objects.issue(ada)
            response = hers.post(change_url(token), {"name": "x"} | fields)
        assert list(errors(response)) == ["expires_at"]

    def test_expired_token_can_be_renamed(self, hers: Client, ada: User) -> None:
        token, _ = ApiToken.objects.issue(ada, name="a", expires_at=NOON)
        fields = {"name": "b"} | expiry("2026-03-25", "12:00:00")
        assert hers.post(change_url(token), fields).status_code == 302
        token.refresh_from_db()
        assert (token.name, token.expires_at) == ("b", NOON)

    def test_changed_expiry_takes_effect(self, hers: Client) -> None:
        sync(RUNNING)
        with time_machine.travel(NOON, tick=False) as traveller:
            created = create(hers)
            token = ApiToken.objects.get()
            fields = {"name": "Grafana"} | expiry("2026-03-25", "12:01")
            assert hers.post(change_url(token), fields).status_code == 302
            assert request_status(created) == 200
            traveller.shift(60)
            assert request_status(created) == 401


class TestNotice:
    """The page that shows a token says what its user may not do."""

    @pytest.mark.parametrize(
        ("codenames", "level", "words"),
        [
            (["run-import"], None, ""),
            (["view_importoperation"], "info", "works for the REST API"),
            (["view-import-operations"], "info", "works for the REST API"),
            (["view_importoperation", "run-import"], None, ""),
            ([], "warning", "may not see imports"),
            (["change_importoperation"], "warning", "may not see imports"),
        ],
    )
    def test_missing_permissions_are_named(
        self, root: Client, codenames: list[str], level: str | None, words: str
    ) -> None:
        make_user("bot", *codenames)
        response = create(root, user="bot")
        assert words in page(response).words
        levels = re.findall(r'<li class="(info|warning)">', response.content.decode())
        assert levels == ([level] if level else [])

    def test_inactive_user_is_named(self, root: Client) -> None:
        make_user("gone", "run-import", is_active=False)
        words = page(create(root, user="gone")).words
        assert "This user is inactive; the token will not work." in words


class TestWorkspaces:
    """A token can be limited to workspaces that its creator may see."""

    @pytest.fixture(autouse=True)
    def _three_workspaces(self, settings: Any) -> None:
        options = settings.IMPORTMONITOR["WORKSPACES"]["default"]
        hidden = {**options, "GROUPS": ["acme-ops"]}
        settings.IMPORTMONITOR = {
            "WORKSPACES": {"default": options, "acme": hidden, "globex": options}
        }

    @pytest.mark.parametrize(
        ("text", "workspaces"),
        [
            ("", None),
            (" , ", None),
            ("globex", ["globex"]),
            (" globex,default  globex,", ["default", "globex"]),
        ],
    )
    def test_aliases_are_stored_and_shown(
        self, hers: Client, text: str, workspaces: list[str] | None
    ) -> None:
        shown = ", ".join(workspaces or ["all that the user may see"])
        words = page(create(hers, workspaces=text)).words
        assert f"Workspaces: {shown} Expires:" in words.replace(" ,", ",")
        token = ApiToken.objects.get()
        assert token.workspaces == workspaces
        [row] = page(hers.get(LIST)).rows
        assert row[-1].replace(" ,", ",") == shown
        assert shown in page(hers.get(change_url(token))).words.replace(" ,", ",")

    def test_limit_cannot_be_changed(self, hers: Client) -> None:
        create(hers, workspaces="globex")
        token = ApiToken.objects.get()
        fields = {"name": "renamed", "workspaces": "", **expiry("", "")}
        assert hers.post(change_url(token), fields).status_code == 302
        token.refresh_from_db()
        assert (token.name, token.workspaces) == ("renamed", ["globex"])

    def test_limited_token_works_for_its_workspaces_alone(self, hers: Client) -> None:
        for alias, status in (("globex", 403), ("default", 200)):
            sync(RUNNING, alias=alias)
            assert request_status(create(hers, name=alias, workspaces=alias)) == status

    def test_hidden_workspace_is_refused_like_an_unknown_one(
        self, hers: Client, root: Client
    ) -> None:
        for alias in ("acme", "unknown", "<b>"):
            [message] = errors(create(hers, workspaces=f"globex, {alias}"))["workspaces"]
            assert message == f"There is no workspace {alias}."
        assert not ApiToken.objects.exists()
        create(root, user="ada", workspaces="acme")
        assert ApiToken.objects.get().workspaces == ["acme"]
