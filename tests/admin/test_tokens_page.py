"""The admin pages of API tokens: who may see, change and delete which, and what the list shows."""

import re
from datetime import datetime, timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.models import ApiToken
from tests.admin.conftest import LogIn
from tests.admin.helpers import messages, page
from tests.admin.tokens import (
    ADD,
    ALL,
    GRAFANA,
    LIST,
    REVOKE,
    change_url,
    create,
    delete_url,
    expiry,
    field,
    history_url,
    request_status,
)
from tests.api.helpers import NOON, RUNNING, make_user, sync


@pytest.fixture
def foreign(db: None) -> ApiToken:
    """A token of a superuser's."""
    user = make_user("boss", is_staff=True, is_superuser=True)
    return ApiToken.objects.issue(user, name="the boss's own")[0]


class TestPermissions:
    """Django's permissions, for users' own tokens; superusers manage all."""

    @pytest.mark.parametrize(
        ("codename", "allowed"),
        [
            (None, set()),
            ("run-import", set()),
            ("add_apitoken", {"add"}),
            ("view_apitoken", {"list", "view", "history"}),
            ("change_apitoken", {"list", "view", "history", "change"}),
            ("delete_apitoken", {"confirm", "delete"}),
        ],
    )
    def test_each_permission_allows_what_it_says(
        self, log_in: LogIn, codename: str | None, allowed: set[str]
    ) -> None:
        client = log_in(*([codename] if codename else []))
        token, _ = ApiToken.objects.issue(User.objects.get(username="someone"), name="mine")
        new = {"name": "renamed", **expiry("", "")}
        statuses = {
            "list": client.get(LIST).status_code,
            "view": client.get(change_url(token)).status_code,
            "history": client.get(history_url(token)).status_code,
            "add": client.get(ADD).status_code,
            "change": client.post(change_url(token), new).status_code,
            "confirm": client.get(delete_url(token)).status_code,
        }
        assert {name: status for name, status in statuses.items() if status != 403} == {
            name: 302 if name == "change" else 200 for name in statuses if name in allowed
        }
        token.refresh_from_db()
        assert token.name == ("renamed" if "change" in allowed else "mine")
        assert create(client).status_code == (200 if "add" in allowed else 403)
        assert ApiToken.objects.filter(name="Grafana").exists() == ("add" in allowed)
        assert client.post(delete_url(token), {"post": "yes"}).status_code == (
            302 if "delete" in allowed else 403
        )
        assert ApiToken.objects.filter(pk=token.pk).exists() == ("delete" not in allowed)

    def test_users_who_are_not_staff_are_redirected_to_the_login(
        self, log_in: LogIn, foreign: ApiToken
    ) -> None:
        for client in (Client(), log_in(*ALL, is_staff=False)):
            for url in (LIST, ADD, change_url(foreign), delete_url(foreign)):
                for response in (client.get(url), client.post(url, GRAFANA)):
                    assert response.status_code == 302
                    assert response["Location"].startswith("/admin/login/")
        assert ApiToken.objects.get() == foreign

    def test_user_creates_tokens_for_themselves_only(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        form = page(hers.get(f"{ADD}?user=boss"))
        assert "acts for you, ada," in form.words
        assert "user" not in form.fields
        assert "boss" not in form.words
        for number, user in enumerate(("boss", str(foreign.user_id), "")):
            response = create(hers, name=f"mine {number}", user=user, user_id=str(foreign.user_id))
            assert field(response, "im-user-id") == str(ada.pk)
        assert set(ApiToken.objects.exclude(pk=foreign.pk).values_list("user", flat=True)) == {
            ada.pk
        }

    def test_token_of_another_user_is_like_a_missing_one(
        self, hers: Client, foreign: ApiToken
    ) -> None:
        absent = ApiToken(pk=foreign.pk + 1_000)
        for url in (change_url, delete_url, history_url):
            for data in (None, {"name": "mine", **expiry("", ""), "post": "yes"}):
                results = []
                for token in (foreign, absent):
                    response = hers.post(url(token), data) if data else hers.get(url(token))
                    after = hers.get(response["Location"])
                    texts = [text.replace(str(token.pk), "…") for _, text in messages(after)]
                    results.append((response.status_code, response["Location"], texts))
                    assert b"the boss" not in response.content + after.content
                assert results[0] == results[1]
        foreign.refresh_from_db()
        assert foreign.name == "the boss's own"

    def test_token_of_another_user_is_not_listed(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        ApiToken.objects.issue(ada, name="mine")
        for query in ("", "?q=boss", f"?q={foreign.prefix}", "?all="):
            response = hers.get(LIST + query)
            assert b"the boss" not in response.content
            assert foreign.prefix not in page(response).words
            assert response.context["cl"].full_result_count == 1
        assert len(page(hers.get(LIST)).rows) == 1

    def test_token_of_another_user_is_not_deleted_by_the_action(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        mine, _ = ApiToken.objects.issue(ada)
        chosen = {"action": "delete_selected", "_selected_action": [mine.pk, foreign.pk]}
        words = page(hers.post(LIST, chosen | {"index": "0"})).words
        assert mine.prefix in words
        assert foreign.prefix not in words
        for across in ("0", "1"):
            hers.post(LIST, chosen | {"post": "yes", "select_across": across})
        assert ApiToken.objects.get() == foreign

    def test_superuser_manages_the_tokens_of_all_users(
        self, root: Client, ada: User, foreign: ApiToken
    ) -> None:
        ApiToken.objects.issue(ada, name="hers")
        words = page(root.get(LIST)).words
        assert all(name in words for name in ("hers", "ada", "the boss's own", "boss"))
        assert field(create(root, user="ada"), "im-user-id") == str(ada.pk)
        assert root.get(change_url(foreign)).status_code == 200
        assert root.post(delete_url(foreign), {"post": "yes"}).status_code == 302
        assert not ApiToken.objects.filter(pk=foreign.pk).exists()

    def test_user_with_tokens_can_be_deleted_by_those_who_may_delete_users(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        ada.user_permissions.add(Permission.objects.get(codename="delete_user"))
        User.objects.get(username="boss")
        response = hers.post(f"/admin/auth/user/{foreign.user_id}/delete/", {"post": "yes"})
        assert response.status_code == 302
        assert not ApiToken.objects.exists()


class TestChange:
    """The name and the expiry can be changed."""

    def test_only_name_and_expiry_are_changed(
        self, root: Client, ada: User, foreign: ApiToken
    ) -> None:
        before = ApiToken.objects.values().get(pk=foreign.pk)
        others = {"user": "ada", "user_id": ada.pk, "prefix": "000000000000", "digest": "0" * 64}
        others |= {"last_used_at": "2020-01-01T00:00", "created_at": "2020-01-01T00:00"}
        assert page(root.get(change_url(foreign))).fields.isdisjoint(others)
        with CaptureQueriesContext(connection) as queries:
            root.post(change_url(foreign), others | {"name": "new", **expiry("", "")})
        assert ApiToken.objects.values().get(pk=foreign.pk) == before | {"name": "new"}
        # Nothing else is written, so that a use recorded in the meantime is kept.
        [update] = [row["sql"] for row in queries if '_apitoken" SET' in _quoted(row["sql"])]
        assert set(re.findall(r'"(\w+)" =', _quoted(update).split(" WHERE ")[0])) == {
            "name",
            "expires_at",
        }

    def test_saving_unchanged_changes_nothing(self, hers: Client, ada: User) -> None:
        until = datetime(2099, 3, 4, 5, 6, 7, 891_000, tzinfo=NOON.tzinfo)
        token, _ = ApiToken.objects.issue(ada, name="a", expires_at=until)
        shown = expiry("2099-03-04", "05:06:07")
        html = hers.get(change_url(token)).content.decode()
        assert all(f'value="{value}"' in html for value in shown.values())
        hers.post(change_url(token), {"name": "a"} | shown)
        assert LogEntry.objects.get().get_change_message() == "No fields changed."

    def test_view_permission_shows_no_form(self, log_in: LogIn) -> None:
        client = log_in("view_apitoken")
        token, _ = ApiToken.objects.issue(User.objects.get(username="someone"), name="mine")
        shown = page(client.get(change_url(token)))
        assert "mine" in shown.words
        assert shown.fields.isdisjoint({"name", "expires_at_0", "expires_at_1"})
        assert "Delete" not in shown.words


class TestDelete:
    """Stock Django, with a page that says what stops working."""

    def test_deleted_token_is_refused(self, hers: Client) -> None:
        sync(RUNNING)
        created = create(hers)
        token = ApiToken.objects.get()
        assert request_status(created) == 200
        assert delete_url(token) in page(hers.get(change_url(token))).links
        words = page(hers.get(delete_url(token))).words
        assert str(token) in words
        assert "requests with it are refused (401)" in words
        assert request_status(created) == 200
        response = hers.post(delete_url(token), {"post": "yes"}, follow=True)
        assert request_status(created) == 401
        assert response.redirect_chain == [(LIST, 302)]

    def test_action_deletes_selected_tokens(self, hers: Client) -> None:
        sync(RUNNING)
        created = [create(hers, name=f"tool {number}") for number in range(3)]
        kept, *selected = ApiToken.objects.order_by("name")
        form = {
            "action": "delete_selected",
            "_selected_action": [token.pk for token in selected],
        }
        words = page(hers.post(LIST, form | {"index": "0"})).words
        assert all(str(token) in words for token in selected)
        assert str(kept) not in words
        assert "requests with it are refused (401)" in words
        assert ApiToken.objects.count() == 3
        hers.post(LIST, form | {"post": "yes"})
        assert [request_status(response) for response in created] == [200, 401, 401]
        log = LogEntry.objects.filter(action_flag=3).values_list("object_repr", flat=True)
        assert set(log) == {str(token) for token in selected}

    def test_user_who_sees_no_list_is_redirected_to_the_index(self, log_in: LogIn) -> None:
        client = log_in("delete_apitoken")
        token, _ = ApiToken.objects.issue(User.objects.get(username="someone"))
        response = client.post(delete_url(token), {"post": "yes"})
        assert response["Location"] == "/admin/"


class TestRevokeAll:
    """Tokens outlive a change of the password; one page revokes all of the user's own."""

    def test_tokens_outlive_a_change_of_the_password(self, hers: Client, ada: User) -> None:
        sync(RUNNING)
        created = create(hers)
        ada.set_password("another one")
        ada.save()
        assert request_status(created) == 200

    def test_list_says_so_and_links_to_the_page(self, hers: Client, ada: User) -> None:
        sentence = "stays valid when the password of its user changes"
        assert sentence not in page(hers.get(LIST)).words
        ApiToken.objects.issue(ada)
        shown = page(hers.get(LIST))
        assert sentence in shown.words
        assert REVOKE in shown.links
        ada.user_permissions.remove(Permission.objects.get(codename="delete_apitoken"))
        shown = page(hers.get(LIST))
        assert sentence in shown.words
        assert REVOKE not in shown.links

    def test_all_tokens_of_the_user_are_refused_afterwards(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        sync(RUNNING)
        created = [create(hers, name=f"tool {number}") for number in range(3)]
        tokens = list(ApiToken.objects.filter(user=ada))
        confirmation = hers.get(REVOKE)
        assert confirmation.context["title"] == "Revoke all your API tokens"
        words = page(confirmation).words
        assert all(str(token) in words for token in tokens)
        assert str(foreign) not in words
        assert "requests with it are refused (401)" in words
        assert [request_status(response) for response in created] == [200] * 3
        response = hers.post(REVOKE, {"post": "yes"}, follow=True)
        assert response.redirect_chain == [(LIST, 302)]
        assert messages(response) == [("success", "Successfully deleted 3 API tokens.")]
        assert [request_status(response) for response in created] == [401] * 3
        assert ApiToken.objects.get() == foreign
        log = LogEntry.objects.filter(action_flag=3).values_list("object_repr", flat=True)
        assert set(log) == {str(token) for token in tokens}

    def test_superuser_revokes_their_own(self, root: Client, ada: User, foreign: ApiToken) -> None:
        ApiToken.objects.issue(User.objects.get(username="root"), name="mine")
        kept, _ = ApiToken.objects.issue(ada)
        words = page(root.get(REVOKE)).words
        assert "mine" in words
        assert str(kept) not in words
        # Whatever was selected.
        root.post(REVOKE, {"post": "yes", "_selected_action": [kept.pk], "select_across": "1"})
        assert set(ApiToken.objects.all()) == {kept, foreign}

    @pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
    def test_only_the_confirmed_form_revokes(self, hers: Client, ada: User, method: str) -> None:
        ApiToken.objects.issue(ada)
        getattr(hers, method)(f"{REVOKE}?post=yes", {"post": "yes"})
        hers.post(REVOKE)
        assert ApiToken.objects.count() == 1

    def test_form_of_another_site_revokes_nothing(self, ada: User) -> None:
        ApiToken.objects.issue(ada)
        client = Client(enforce_csrf_checks=True)
        client.force_login(ada)
        assert client.post(REVOKE, {"post": "yes"}).status_code == 403
        assert ApiToken.objects.count() == 1

    def test_permission_to_delete_is_required(self, log_in: LogIn) -> None:
        client = log_in("add_apitoken", "change_apitoken", "view_apitoken")
        ApiToken.objects.issue(User.objects.get(username="someone"))
        for response in (client.get(REVOKE), client.post(REVOKE, {"post": "yes"})):
            assert response.status_code == 403
        assert ApiToken.objects.count() == 1

    def test_permission_to_delete_suffices(self, log_in: LogIn) -> None:
        client = log_in("delete_apitoken")
        ApiToken.objects.issue(User.objects.get(username="someone"))
        response = client.post(REVOKE, {"post": "yes"})
        assert response["Location"] == "/admin/"
        assert not ApiToken.objects.exists()

    def test_user_without_tokens_is_told_so(self, hers: Client, foreign: ApiToken) -> None:
        for response in (
            hers.get(REVOKE, follow=True),
            hers.post(REVOKE, {"post": "yes"}, follow=True),
        ):
            assert response.redirect_chain == [(LIST, 302)]
            assert messages(response) == [("info", "You have no API tokens.")]


class TestList:
    """What the list shows, and what it costs."""

    def test_list_shows_the_state_of_tokens(self, root: Client, ada: User) -> None:
        ends = {
            "ever": None,
            "later": timedelta(days=15),
            "soon": timedelta(days=13),
            "over": timedelta(0),
        }
        gone = make_user("gone", is_active=False)
        for name, lasts in ends.items():
            until = None if lasts is None else NOON + lasts
            ApiToken.objects.issue(ada, name=name, expires_at=until)
        ApiToken.objects.issue(gone, name="idle")
        ApiToken.objects.issue(ada)
        ApiToken.objects.filter(name="ever").update(last_used_at=NOON - timedelta(minutes=12))
        with time_machine.travel(NOON, tick=False):
            rows = {row[1].split()[0]: row for row in page(root.get(LIST)).rows}
        assert {name: row[3] for name, row in rows.items()} == {
            "ever": "✓ valid never expires",
            "later": "✓ valid until 9 Apr 12:00:00",
            "soon": "! expires soon until 7 Apr 12:00:00",
            "over": "✕ expired since 25 Mar 12:00:00",
            "idle": "⊘ user inactive never expires",
            "unnamed": "✓ valid never expires",
        }
        assert rows["ever"][4].replace("\N{NO-BREAK SPACE}", " ") == "12 minutes ago (11:48:00)"
        assert rows["later"][4] == "never used"
        assert [rows[name][2] for name in ("ever", "idle")] == ["ada", "gone"]
        prefixes = dict(ApiToken.objects.values_list("name", "prefix"))
        assert rows["ever"][1] == f"ever {prefixes['ever']}…"

    def test_number_of_queries_does_not_grow(self, root: Client) -> None:
        counts = []
        for number in (1, 40):
            for index in range(number):
                ApiToken.objects.issue(make_user(f"user {number} {index}"), name=f"{index}")
            with CaptureQueriesContext(connection) as queries:
                assert len(page(root.get(LIST)).rows) == ApiToken.objects.count()
            counts.append(len(queries) - 1)
        assert counts[0] == counts[1] <= 6

    @pytest.mark.thorough(one_in=3)
    @pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{"])
    def test_names_are_escaped(self, root: Client, evil: str) -> None:
        user = User.objects.create(username=evil, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=ALL))
        theirs = Client()
        theirs.force_login(user)
        responses = [root.get(ADD), theirs.get(ADD)]
        responses += [create(root, user=evil, name=evil), create(root, user=evil, name=evil)]
        token = ApiToken.objects.get()
        chosen = {"action": "delete_selected", "_selected_action": [token.pk], "index": "0"}
        urls = (LIST, change_url(token), delete_url(token), history_url(token))
        for client in (root, theirs):
            responses += [client.get(url) for url in urls]
            responses.append(client.post(LIST, chosen))
        responses.append(root.post(delete_url(token), {"post": "yes"}, follow=True))
        for response in responses:
            assert response.status_code == 200
            assert evil in page(response).words or "value=" in response.content.decode()
            assert not any(tag in response.content for tag in (b"<script>alert", b"<img src=x"))

    @pytest.mark.parametrize("lookup", ["digest", "digest__startswith", "user__password__contains"])
    def test_hidden_fields_cannot_be_filtered_by(self, root: Client, lookup: str) -> None:
        assert root.get(f"{LIST}?{lookup}=a").status_code == 400

    def test_search_finds_names_and_prefixes(self, root: Client, ada: User) -> None:
        token, _ = ApiToken.objects.issue(ada, name="Grafana")
        ApiToken.objects.issue(ada, name="other")
        for term in ("grafana", token.prefix, token.prefix[:8]):
            assert [row[1] for row in page(root.get(f"{LIST}?q={term}")).rows] == [
                f"Grafana {token.prefix}…"
            ]


def _quoted(sql: str) -> str:
    """Return a query as PostgreSQL and SQLite write it."""
    return sql.replace("`", '"')
