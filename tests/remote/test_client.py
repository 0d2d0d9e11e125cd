"""The requests that the client makes, and the good responses that it reads."""

import json
import time
from pathlib import Path

import pytest

import importmonitor
from importmonitor.rocketchat import client as client_module
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    PermissionMissing,
    RocketChatError,
    Unreachable,
)
from tests.remote.helpers import (
    GOOD,
    HEADERS,
    NO_OPERATION,
    OPERATION,
    PASSWORD,
    TOKEN,
    USER_ID,
    assert_deadline_holds,
    parse_head,
    workspace_config,
)
from tests.remote.servers import Server, answering, dripping, http

# Requests.


def test_current_operation_request() -> None:
    with Server(answering(GOOD)) as server, Client(workspace_config(server.url)) as client:
        operation = client.current_operation()
    assert operation is not None
    assert operation.remote_id == "7PbvsnKJD9ZAqw38C"
    assert operation.payload == OPERATION
    (head,) = server.heads
    first, headers = parse_head(head)
    # Without a query: Rocket.Chat returns 400 for any.
    assert first == "GET /api/v1/getCurrentImportOperation HTTP/1.1"
    assert headers["x-user-id"] == USER_ID
    assert headers["x-auth-token"] == TOKEN
    assert headers["user-agent"] == f"importmonitor/{importmonitor.__version__}"
    assert headers["accept"] == "application/json"
    assert "content-type" not in headers


def test_same_body_is_the_same_operation_and_any_other_is_read() -> None:
    done = http(json.dumps({"operation": OPERATION | {"status": "importer_done"}}))
    server = Server(answering(GOOD, GOOD, done, GOOD, NO_OPERATION, GOOD))
    with server, Client(workspace_config(server.url)) as client:
        first, second, third, fourth, fifth, sixth = (client.current_operation() for _ in range(6))
    assert first is second
    assert first is not None
    assert third is not None
    assert third.status == "importer_done"
    assert first == fourth == sixth
    assert fifth is None


def test_path_of_url_is_kept() -> None:
    with (
        Server(answering(GOOD)) as server,
        Client(workspace_config(f"{server.url}/chat")) as client,
    ):
        client.current_operation()
    assert parse_head(server.heads[0])[0] == "GET /chat/api/v1/getCurrentImportOperation HTTP/1.1"


def test_latest_operations_request() -> None:
    body = json.dumps([OPERATION, OPERATION | {"_id": "other"}])
    with Server(answering(http(body))) as server, Client(workspace_config(server.url)) as client:
        operations = client.latest_operations()
    assert [operation.remote_id for operation in operations] == ["7PbvsnKJD9ZAqw38C", "other"]
    first, headers = parse_head(server.heads[0])
    assert first == "GET /api/v1/getLatestImportOperations HTTP/1.1"
    assert headers["x-user-id"] == USER_ID
    assert headers["x-auth-token"] == TOKEN


def test_version_request_has_no_credentials() -> None:
    with (
        Server(answering(http('{"version": "8.0", "success": true}'))) as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.version() == "8.0"
    first, headers = parse_head(server.heads[0])
    assert first == "GET /api/info HTTP/1.1"
    assert "x-user-id" not in headers
    assert "x-auth-token" not in headers
    assert TOKEN not in server.heads[0]


def test_session_does_not_keep_credentials() -> None:
    info = http('{"version": "8.0", "success": true}')
    with Server(answering(GOOD, info)) as server, Client(workspace_config(server.url)) as client:
        client.current_operation()
        client.version()
    assert TOKEN in server.heads[0]
    assert TOKEN not in server.heads[1]


def test_headers_are_sent_with_every_request() -> None:
    responses = (GOOD, http("[]"), http('{"version": "8.0", "success": true}'))
    headers = (*HEADERS, ("X-Tenant", "A côté"))
    with (
        Server(answering(*responses)) as server,
        Client(workspace_config(server.url, headers=headers)) as client,
    ):
        client.current_operation()
        client.latest_operations()
        client.version()
    for head in server.heads:
        sent = parse_head(head)[1]
        assert sent["authorization"] == HEADERS[0][1]
        assert sent["x-tenant"] == "A côté"
        assert sent["accept"] == "application/json"
    assert len(server.heads) == 3


@pytest.mark.parametrize("text", [HEADERS[0][1], HEADERS[0][1].split()[1], PASSWORD])
@pytest.mark.parametrize("status", [200, 401, 403, 502])
def test_headers_are_redacted_from_responses(text: str, status: int) -> None:
    with Server(answering(http(f"<p>You sent {text}", status, "text/html"))) as server:
        config = workspace_config(server.url, headers=HEADERS)
        with Client(config) as client, pytest.raises(RocketChatError) as caught:
            client.current_operation()
    assert "[hidden]" in str(caught.value)
    for secret in (PASSWORD, HEADERS[0][1].split()[1]):
        assert secret not in str(caught.value)
        assert secret not in repr(config)


def test_cookies_are_neither_kept_nor_sent() -> None:
    cookies = http(
        json.dumps({"operation": OPERATION}), headers={"Set-Cookie": f"a={'x' * 8_000}; Path=/"}
    )
    with (
        Server(answering(cookies, cookies, cookies)) as server,
        Client(workspace_config(server.url)) as client,
    ):
        for _ in range(3):
            assert client.current_operation() is not None
    assert len(server.heads) == 3
    assert all("cookie" not in parse_head(head)[1] for head in server.heads)


def test_netrc_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    info = http('{"version": "8.0", "success": true}')
    with Server(answering(GOOD, info)) as server, Client(workspace_config(server.url)) as client:
        client.current_operation()
        client.version()
    assert all("authorization" not in parse_head(head)[1] for head in server.heads)


# Responses.

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "informational", [EARLY, PROCESSING, CONTINUE, EARLY + CONTINUE + PROCESSING * 5]
)
def test_informational_responses_are_skipped(informational: bytes) -> None:
    with (
        Server(answering(informational + GOOD, informational + NO_OPERATION)) as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.current_operation() is not None
        assert client.current_operation() is None
    assert server.connections == 1


@pytest.mark.parametrize("informational", [EARLY, CONTINUE])
def test_informational_responses_have_an_end(informational: bytes) -> None:
    with (
        Server(answering(informational * 1_000)) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(Unreachable, match="too many informational responses"),
    ):
        client.current_operation()


def test_deadline_holds_among_informational_responses() -> None:
    with Server(dripping(b"", EARLY)) as server:
        assert_deadline_holds(workspace_config(server.url, timeout=0.3, deadline=0.3))


def test_switch_of_protocols_is_a_final_response() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    with (
        Server(answering(switch + GOOD)) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(BadAnswer, match="returned 101"),
    ):
        client.current_operation()


def test_at_most_20_operations_of_a_list_are_read() -> None:
    documents = [OPERATION | {"_id": str(number)} for number in range(20)]
    # What is behind them is not parsed: these are no operations.
    body = json.dumps([*documents, *range(5_000)])
    with Server(answering(http(body))) as server, Client(workspace_config(server.url)) as client:
        operations = client.latest_operations()
    assert [operation.remote_id for operation in operations] == list(map(str, range(20)))


@pytest.mark.parametrize(
    "body",
    [
        '{"success": true}',
        '{"success": "true"}',
        '{"operation": null, "success": true}',
        '\ufeff{"success": true}',
    ],
)
def test_no_operation_is_none(body: str) -> None:
    with Server(answering(http(body))) as server, Client(workspace_config(server.url)) as client:
        assert client.current_operation() is None


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=x", "", "?"]
)
def test_content_type_of_good_body_does_not_matter(content_type: str) -> None:
    response = http(json.dumps({"operation": OPERATION}), content_type=content_type)
    with Server(answering(response)) as server, Client(workspace_config(server.url)) as client:
        assert client.current_operation() is not None


def test_chunked_body_is_read() -> None:
    body = json.dumps({"operation": OPERATION}).encode()
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"1\r\n" + body[index : index + 1] + b"\r\n" for index in range(len(body))
    )
    with (
        Server(answering(response + b"0\r\n\r\n")) as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.current_operation() is not None


def test_malformed_operations_are_returned() -> None:
    body = json.dumps([{}, {"_id": 7, "count": {"total": "0[object Promise]"}}])
    with Server(answering(http(body))) as server, Client(workspace_config(server.url)) as client:
        first, second = client.latest_operations()
    assert first.unreadable == ["_id"]
    assert second.unreadable == ["_id", "count.total"]


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ('{"version": "8.0", "success": true}', "8.0"),
        ('{"info": {"version": "5.4.3"}, "success": true}', "5.4.3"),
        ('{"success": true}', None),
        ('{"version": 8, "info": [], "success": true}', None),
    ],
)
def test_version_is_read(body: str, version: str | None) -> None:
    with Server(answering(http(body))) as server, Client(workspace_config(server.url)) as client:
        assert client.version() == version


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (http("[]"), BadAnswer),
        (http('{"version": "8.0"}'), BadAnswer),
        (http('{"version": "8.0", "success": false}'), BadAnswer),
        (http('{"success": false, "error": "[not_authorized]"}', 403), BadAnswer),
        (http("<html>", content_type="text/html"), NotRocketChat),
    ],
)
def test_version_of_other_software_is_an_error(
    response: bytes, kind: type[RocketChatError]
) -> None:
    with (
        Server(answering(response)) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(RocketChatError) as caught,
    ):
        client.version()
    assert type(caught.value) is kind
    assert f"GET {server.url}/api/info " in str(caught.value)


@pytest.mark.parametrize(
    "body", ["{}", '{"operations": [], "success": true}', "null", "[1]", "[[]]"]
)
def test_latest_operations_must_be_an_array(body: str) -> None:
    with (
        Server(answering(http(body))) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(BadAnswer, match="getLatestImportOperations returned 200"),
    ):
        client.latest_operations()


def test_latest_operations_need_another_permission() -> None:
    forbidden = http('{"success": false, "error": "[error-unauthorized]"}', 403)
    with (
        Server(answering(forbidden)) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(PermissionMissing, match="view-import-operations") as caught,
    ):
        client.latest_operations()
    assert caught.value.permission == "view-import-operations"


# Names of users.


def user_info(user: object) -> bytes:
    return http(json.dumps({"user": user, "success": True}))


def test_user_name_request() -> None:
    server = Server(answering(user_info({"_id": "u", "username": "ada", "name": "Ada Lovelace"})))
    with server, Client(workspace_config(server.url)) as client:
        assert client.user_name("../a b&c=d#é") == "Ada Lovelace"
    (head,) = server.heads
    first, headers = parse_head(head)
    assert first == "GET /api/v1/users.info?userId=..%2Fa%20b%26c%3Dd%23%C3%A9 HTTP/1.1"
    assert (headers["x-user-id"], headers["x-auth-token"]) == (USER_ID, TOKEN)


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"username": "ada"}, "ada"),
        ({"username": "ada", "name": ""}, "ada"),
        ({"username": "ada", "name": " \t\u202e\x00 "}, "ada"),
        ({"username": "ada", "name": ["Ada"]}, "ada"),
        ({"username": None, "name": 5}, ""),
        ({}, ""),
        ({"name": " Ada\r\nLovelace\x1b[2J\u2028x\ud83d "}, "Ada Lovelace [2J x"),
        ({"name": "\N{RIGHT-TO-LEFT OVERRIDE}ada"}, "ada"),
        ({"name": "می\N{ZERO WIDTH NON-JOINER}خواهم"}, "می\N{ZERO WIDTH NON-JOINER}خواهم"),
        ({"name": "\N{ZERO WIDTH JOINER}", "username": "ada"}, "ada"),
        ({"name": "x" * 300}, "x" * 254 + "…"),
        ({"name": f"my token is {TOKEN}"}, "my token is [hidden]"),
    ],
)
def test_user_name_is_one_short_line(user: object, name: str) -> None:
    server = Server(answering(user_info(user)))
    with server, Client(workspace_config(server.url)) as client:
        assert client.user_name("u") == name


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (http(json.dumps({"success": False, "error": "User not found."}), 400), BadAnswer),
        (http(json.dumps({"success": False, "error": "unauthorized"}), 403), BadAnswer),
        (http("[]"), BadAnswer),
        (http("{"), BadAnswer),
        (user_info("Ada"), BadAnswer),
        (http("<html>", 404, "text/html"), NotRocketChat),
        (http("", 500), Unreachable),
    ],
)
def test_user_name_raises_rocketchat_errors_alone(
    response: bytes, kind: type[RocketChatError]
) -> None:
    server = Server(answering(response))
    with server, Client(workspace_config(server.url)) as client, pytest.raises(kind):
        client.user_name("u")


def test_user_name_has_a_shorter_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "USER_DEADLINE", 0.3)
    server = Server(dripping(b"HTTP/1.1 200 OK\r\n", b"X"))
    with server, Client(workspace_config(server.url)) as client:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"within the deadline of 0\.3 s"):
            client.user_name("u")
    assert time.monotonic() - began < 5
