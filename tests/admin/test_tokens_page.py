"""The page of API tokens: who sees, changes and revokes which, and what a list tells of each."""

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
from tests.admin.tokens import ADD, ALL, GRAFANA, LIST, ask, change, delete, field, make
from tests.api.helpers import NOON, RUNNING, make_user, sync


@pytest.fixture
def foreign(db: None) -> ApiToken:
    """A token of a superuser's."""
    user = make_user("boss", is_staff=True, is_superuser=True)
    return ApiToken.objects.issue(user, name="the boss's own")[0]


class TestRights:
    """Django's ordinary permissions, each for what it says; and each for one's own tokens alone."""

    @pytest.mark.parametrize(
        ("codename", "allowed"),
        [
            (None, set()),
            ("run-import", set()),
            ("add_apitoken", {"add"}),
            ("view_apitoken", {"list", "look", "history"}),
            ("change_apitoken", {"list", "look", "history", "change"}),
            ("delete_apitoken", {"ask", "revoke"}),
        ],
    )
    def test_what_each_permission_allows(
        self, log_in: LogIn, codename: str | None, allowed: set[str]
    ) -> None:
        client = log_in(*([codename] if codename else []))
        token, _ = ApiToken.objects.issue(User.objects.get(username="someone"), name="mine")
        new = {"name": "renamed", "expires_at": ""}
        statuses = {
            "list": client.get(LIST).status_code,
            "look": client.get(change(token)).status_code,
            "history": client.get(f"{LIST}{token.pk}/history/").status_code,
            "add": client.get(ADD).status_code,
            "change": client.post(change(token), new).status_code,
            "ask": client.get(delete(token)).status_code,
        }
        assert {name: status for name, status in statuses.items() if status != 403} == {
            name: 302 if name == "change" else 200 for name in statuses if name in allowed
        }
        token.refresh_from_db()
        assert token.name == ("renamed" if "change" in allowed else "mine")
        assert make(client).status_code == (200 if "add" in allowed else 403)
        assert ApiToken.objects.filter(name="Grafana").exists() == ("add" in allowed)
        assert client.post(delete(token), {"post": "yes"}).status_code == (
            302 if "revoke" in allowed else 403
        )
        assert ApiToken.objects.filter(pk=token.pk).exists() == ("revoke" not in allowed)

    def test_who_is_not_staff_is_sent_to_the_login(self, log_in: LogIn, foreign: ApiToken) -> None:
        for client in (Client(), log_in(*ALL, is_staff=False)):
            for url in (LIST, ADD, change(foreign), delete(foreign)):
                for response in (client.get(url), client.post(url, GRAFANA)):
                    assert response.status_code == 302
                    assert response["Location"].startswith("/admin/login/")
        assert ApiToken.objects.get() == foreign

    def test_nobody_makes_one_for_another(self, hers: Client, ada: User, foreign: ApiToken) -> None:
        form = page(hers.get(f"{ADD}?user=boss"))
        assert "act for you, ada," in form.words
        assert "user" not in form.fields
        assert "boss" not in form.words
        for number, user in enumerate(("boss", str(foreign.user_id), "")):
            response = make(hers, name=f"mine {number}", user=user, user_id=str(foreign.user_id))
            assert field(response, "im-user-id") == str(ada.pk)
        assert set(ApiToken.objects.exclude(pk=foreign.pk).values_list("user", flat=True)) == {
            ada.pk
        }

    def test_another_s_is_as_if_it_were_not_there(self, hers: Client, foreign: ApiToken) -> None:
        absent = ApiToken(pk=foreign.pk + 1_000)
        for url in (change, delete, lambda token: f"{LIST}{token.pk}/history/"):
            for data in (None, {"name": "mine", "expires_at": "", "post": "yes"}):
                found = []
                for token in (foreign, absent):
                    response = hers.post(url(token), data) if data else hers.get(url(token))
                    after = hers.get(response["Location"])
                    told = [text.replace(str(token.pk), "…") for _, text in messages(after)]
                    found.append((response.status_code, response["Location"], told))
                    assert b"the boss" not in response.content + after.content
                assert found[0] == found[1]
        foreign.refresh_from_db()
        assert foreign.name == "the boss's own"

    def test_another_s_is_in_no_list(self, hers: Client, ada: User, foreign: ApiToken) -> None:
        ApiToken.objects.issue(ada, name="mine")
        for query in ("", "?q=boss", f"?q={foreign.prefix}", f"?id={foreign.pk}", "?all="):
            response = hers.get(LIST + query)
            assert b"the boss" not in response.content
            assert foreign.prefix not in page(response).words
            assert response.context["cl"].full_result_count == 1
        assert len(page(hers.get(LIST)).rows) == 1

    def test_another_s_is_not_revoked_by_the_action(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        mine, _ = ApiToken.objects.issue(ada)
        chosen = {"action": "delete_selected", "_selected_action": [mine.pk, foreign.pk]}
        asked = hers.post(LIST, chosen | {"index": "0"})
        assert mine.prefix in page(asked).words
        assert foreign.prefix not in page(asked).words
        for across in ("0", "1"):
            hers.post(LIST, chosen | {"post": "yes", "select_across": across})
        assert ApiToken.objects.get() == foreign

    def test_a_superuser_has_everybody_s(self, root: Client, ada: User, foreign: ApiToken) -> None:
        ApiToken.objects.issue(ada, name="hers")
        words = page(root.get(LIST)).words
        assert all(each in words for each in ("hers", "ada", "the boss's own", "boss"))
        assert field(make(root, user="ada"), "im-user-id") == str(ada.pk)
        assert root.get(change(foreign)).status_code == 200
        assert root.post(delete(foreign), {"post": "yes"}).status_code == 302
        assert not ApiToken.objects.filter(pk=foreign.pk).exists()

    def test_who_may_delete_users_can_though_they_have_tokens(
        self, hers: Client, ada: User, foreign: ApiToken
    ) -> None:
        ada.user_permissions.add(Permission.objects.get(codename="delete_user"))
        User.objects.get(username="boss")
        response = hers.post(f"/admin/auth/user/{foreign.user_id}/delete/", {"post": "yes"})
        assert response.status_code == 302
        assert not ApiToken.objects.exists()


class TestChange:
    """A name and an end; nothing else."""

    def test_nothing_else_is_changed(self, root: Client, ada: User, foreign: ApiToken) -> None:
        before = ApiToken.objects.values().get(pk=foreign.pk)
        others = {"user": "ada", "user_id": ada.pk, "prefix": "000000000000", "digest": "0" * 64}
        others |= {"last_used_at": "2020-01-01T00:00", "created_at": "2020-01-01T00:00"}
        assert page(root.get(change(foreign))).fields.isdisjoint(others)
        with CaptureQueriesContext(connection) as queries:
            root.post(change(foreign), others | {"name": "new", "expires_at": ""})
        assert ApiToken.objects.values().get(pk=foreign.pk) == before | {"name": "new"}
        # Nor is it written, so that a use that is noted in between is not undone.
        [update] = [each["sql"] for each in queries if '_apitoken" SET' in _quoted(each["sql"])]
        assert set(re.findall(r'"(\w+)" =', _quoted(update).split(" WHERE ")[0])) == {
            "name",
            "expires_at",
        }

    def test_saving_it_as_it_is_changes_nothing(self, hers: Client, ada: User) -> None:
        until = datetime(2099, 3, 4, 5, 6, 7, 891_000, tzinfo=NOON.tzinfo)
        token, _ = ApiToken.objects.issue(ada, name="a", expires_at=until)
        form = hers.get(change(token)).context["adminform"].form
        given = str(form["expires_at"].subwidgets[0].data["value"])
        assert given == "2099-03-04T05:06:07"
        hers.post(change(token), {"name": "a", "expires_at": given})
        assert LogEntry.objects.get().get_change_message() == "No fields changed."

    def test_who_may_only_look_can_send_nothing(self, log_in: LogIn) -> None:
        client = log_in("view_apitoken")
        token, _ = ApiToken.objects.issue(User.objects.get(username="someone"), name="mine")
        found = page(client.get(change(token)))
        assert "mine" in found.words
        assert found.fields.isdisjoint({"name", "expires_at"})
        assert "Revoke" not in found.words


class TestRevoke:
    """What ends a token for good, after a page that says what stops working."""

    def test_one(self, hers: Client) -> None:
        sync(RUNNING)
        made = make(hers)
        token = ApiToken.objects.get()
        assert [ask(made), ask(made)] == [200, 200]
        assert delete(token) in page(hers.get(change(token))).links
        asked = page(hers.get(delete(token)))
        for each in ("Revoke", "Grafana", token.prefix, "ada", "in use: last used just now", "401"):
            assert each in asked.words
        assert "delete" not in asked.words.lower()
        assert ask(made) == 200
        response = hers.post(delete(token), {"post": "yes"}, follow=True)
        assert ask(made) == 401
        assert response.redirect_chain == [(LIST, 302)]
        assert messages(response) == [("success", f"Revoked: Grafana ({token.prefix}…).")]

    def test_several(self, hers: Client, ada: User) -> None:
        sync(RUNNING)
        made = [make(hers, name=f"tool {number}") for number in range(3)]
        kept, *gone = ApiToken.objects.order_by("name")
        assert [ask(each) for each in made] == [200] * 3
        chosen = {"action": "delete_selected", "_selected_action": [each.pk for each in gone]}
        asked = page(hers.post(LIST, chosen | {"index": "0"}))
        assert all(each.prefix in asked.words for each in gone)
        assert kept.prefix not in asked.words
        assert "these 2 tokens" in asked.words
        assert "delete" not in asked.words.lower()
        assert ApiToken.objects.count() == 3
        response = hers.post(LIST, chosen | {"post": "yes"}, follow=True)
        assert messages(response) == [("success", "2 API tokens revoked.")]
        assert [ask(each) for each in made] == [200, 401, 401]
        gone_from_log = LogEntry.objects.filter(action_flag=3).values_list("object_repr", flat=True)
        assert set(gone_from_log) == {str(each) for each in gone}

    def test_where_one_goes_who_sees_no_list(self, log_in: LogIn) -> None:
        client = log_in("delete_apitoken")
        token, _ = ApiToken.objects.issue(User.objects.get(username="someone"))
        response = client.post(delete(token), {"post": "yes"})
        assert response["Location"] == "/admin/"


class TestList:
    """What is told of each token; its cost; and that all of it is text."""

    def test_how_each_stands(self, root: Client, ada: User) -> None:
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
            "ever": "✓ live for ever",
            "later": "✓ live until 04/09/2026 noon",
            "soon": "! expires soon until 04/07/2026 noon",
            "over": "✕ expired 03/25/2026 noon",
            "idle": "⊘ user not active for ever",
            "unnamed": "✓ live for ever",
        }
        assert rows["ever"][4].replace("\N{NO-BREAK SPACE}", " ") == "12 minutes ago"
        assert rows["later"][4] == "never used"
        assert [rows[name][2] for name in ("ever", "idle")] == ["ada", "gone"]
        prefixes = dict(ApiToken.objects.values_list("name", "prefix"))
        assert rows["ever"][1] == f"ever {prefixes['ever']}…"

    def test_its_queries_do_not_grow(self, root: Client) -> None:
        counts = []
        for number in (1, 40):
            for each in range(number):
                ApiToken.objects.issue(make_user(f"user {number} {each}"), name=f"{each}")
            with CaptureQueriesContext(connection) as queries:
                assert len(page(root.get(LIST)).rows) == ApiToken.objects.count()
            counts.append(len(queries) - 1)
        assert counts[0] == counts[1] <= 6

    @pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{"])
    def test_names_are_text(self, root: Client, evil: str) -> None:
        user = User.objects.create(username=evil, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=ALL))
        theirs = Client()
        theirs.force_login(user)
        responses = [root.get(ADD), theirs.get(ADD)]
        responses += [make(root, user=evil, name=evil), make(root, user=evil, name=evil)]
        token = ApiToken.objects.get()
        chosen = {"action": "delete_selected", "_selected_action": [token.pk], "index": "0"}
        urls = (LIST, change(token), delete(token), f"{LIST}{token.pk}/history/")
        for client in (root, theirs):
            responses += [client.get(url) for url in urls]
            responses.append(client.post(LIST, chosen))
        responses.append(root.post(delete(token), {"post": "yes"}, follow=True))
        for response in responses:
            assert response.status_code == 200
            assert evil in page(response).words or "value=" in response.content.decode()
            assert not any(tag in response.content for tag in (b"<script>alert", b"<img src=x"))

    @pytest.mark.parametrize("lookup", ["digest", "digest__startswith", "user__password__contains"])
    def test_no_filter_tells_what_is_not_shown(self, root: Client, lookup: str) -> None:
        assert root.get(f"{LIST}?{lookup}=a").status_code == 400

    def test_search(self, root: Client, ada: User) -> None:
        token, _ = ApiToken.objects.issue(ada, name="Grafana")
        ApiToken.objects.issue(ada, name="other")
        for term in ("grafana", token.prefix, token.prefix[:8]):
            assert [row[1] for row in page(root.get(f"{LIST}?q={term}")).rows] == [
                f"Grafana {token.prefix}…"
            ]


def _quoted(sql: str) -> str:
    """Return a query as PostgreSQL and SQLite write it."""
    return sql.replace("`", '"')
