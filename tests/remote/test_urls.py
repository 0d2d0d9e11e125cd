"""The host of a URL: what is checked is what is asked."""

import pytest

from importmonitor.rocketchat.urls import is_loopback, read_host


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://chat.example.org", "chat.example.org"),
        ("HTTPS://Chat.Example.ORG:8443/sub/path", "chat.example.org"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("http://[::1]:3000", "::1"),
        ("http://evil.example/.localhost", "evil.example"),
        ("https://chat_1.example.org:", "chat_1.example.org"),
    ],
)
def test_host_is_read(url: str, host: str) -> None:
    assert read_host(url) == host


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (r"http://evil.example\.localhost", "backslash"),
        (r"https://h\.x", "backslash"),
        ("http://evil.example\t.localhost", "white space"),
        ("http://evil.example .localhost", "white space"),
        ("http://evil.example\u2028.localhost", "white space"),
        ("http://evil.example\x00.localhost", "control character"),
        ("http://localhost:3000@evil.example", "user name or password"),
        ("http://@evil.example", "user name or password"),
        ("http://%6cocalhost", "ambiguous"),
        ("http://evil.example%2elocalhost", "ambiguous"),
        ("http://evil.example;.localhost", "ambiguous"),
        ("http://[::1%25lo]", "ambiguous"),
        ("http://evil.example。localhost", "not a URL"),
        ("http://１２７.0.0.1", "not a URL"),
        ("http://[::1", "not a URL"),
        ("https://chat.example.org:65536", "not a URL"),
        ("http:localhost", "does not start with"),
        ("http:///localhost", "does not start with"),
        ("localhost:3000", "does not start with"),
        ("ftp://localhost", "does not start with"),
        ("", "does not start with"),
    ],
)
def test_ambiguous_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        read_host(url)
    assert "evil" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "LOCALHOST",
        "chat.localhost",
        "127.0.0.1",
        "127.8.8.8",
        "127.1",
        "0x7f000001",
        "2130706433",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
    ],
)
def test_loopback_is_recognized_in_every_form(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "chat.example.org",
        "localhost.example.org",
        "notlocalhost",
        # A name, that a resolver asks the network for.
        "127.0.0.1.",
        "127.0.0.1.example.org",
        "10.0.0.1",
        "128.1",
        "::2",
        "::ffff:10.0.0.1",
    ],
)
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)
