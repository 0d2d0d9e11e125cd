"""Servers on loopback that accept messages as real ones do, or refuse them."""

import email
import email.policy
import json
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, BinaryIO

import django

from tests.remote.servers import Connection, Server, http

#: Instead of a reply: nothing, until the client hangs up.
HANG = "hang"
#: Instead of a reply: the server hangs up.
HANG_UP = "hang up"


@dataclass
class Mail:
    """An e-mail as a server gets it."""

    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        text: str = body.get_content()
        return text


@dataclass
class SmtpSink:
    """A mail server. `refusals` are pairs of a command and the reply to it, used once each.

    The command is "" for the connection itself, and "." for the end of an e-mail; after a space
    follows what its arguments have to contain. `offered` are
    the e-mails that reached their end, `mails` those that were accepted.
    """

    refusals: list[tuple[str, str]] = field(default_factory=list)
    offered: list[Mail] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    _refusal: str = ""

    def __call__(self, connection: Connection) -> None:
        recipients: list[str] = []
        with connection.sock.makefile("rb") as lines:
            if not self._reply(connection, "", "220 sink"):
                return
            for line in lines:
                command = line.decode().strip()
                self.commands.append(command)
                verb = command.partition(" ")[0].upper()
                if verb == "MAIL":
                    recipients = []
                if not self._reply(connection, verb, _REPLIES.get(verb, "250 yes"), command):
                    return
                if verb == "RCPT" and self._refusal == "":
                    recipients.append(command.partition("<")[2].partition(">")[0])
                if verb == "DATA" and self._refusal == "":
                    self.offered.append(Mail(recipients, _read_mail(lines)))
                    if not self._reply(connection, ".", "250 yes"):
                        return
                    if self._refusal == "":
                        self.mails.append(self.offered[-1])

    def _reply(self, connection: Connection, verb: str, success: str, command: str = "") -> bool:
        """Reply to a command; return whether the connection stays open."""
        self._refusal = ""
        refused, _, argument = (self.refusals or [("-", "")])[0][0].partition(" ")
        if refused == verb and argument in command:
            self._refusal = self.refusals.pop(0)[1]
        if self._refusal == HANG:
            connection.wait_for_the_end()
        if self._refusal in {HANG, HANG_UP}:
            return False
        connection.send(f"{self._refusal or success}\r\n".encode())
        return verb != "QUIT"


_REPLIES = {
    "EHLO": "250-sink\r\n250 AUTH PLAIN",
    "AUTH": "235 yes",
    "DATA": "354 go on",
    "QUIT": "221 bye",
}


def _read_mail(stream: BinaryIO) -> bytes:
    """Read an e-mail to its end, without the dots that SMTP adds to lines that start with one."""
    lines = []
    for line in stream:
        if line == b".\r\n":
            break
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)


@dataclass
class Request:
    """A request as a webhook gets it; the names of headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpSink:
    """A webhook. `refusals` are the statuses of its first responses (or HANG); then 200."""

    refusals: list[int | str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    accepted: list[Request] = field(default_factory=list)

    def __call__(self, connection: Connection) -> None:
        with connection.sock.makefile("rb") as stream:
            line = stream.readline().decode().strip()
            headers = {}
            while header := stream.readline().decode().strip():
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            body = stream.read(int(headers.get("content-length", 0)))
        request = Request(line, headers, body)
        self.requests.append(request)
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal == HANG:
            connection.wait_for_the_end()
            return
        if isinstance(refusal, int):
            connection.send(http(line, refusal))
            return
        self.accepted.append(request)
        connection.send(http("{}"))


def listening(sink: SmtpSink | HttpSink, *, refusing: bool = False) -> Server:
    """Serve a sink on loopback; `refusing` connections until the server's `listen` is called."""
    return Server(sink, listening=not refusing)


def configure_mail(
    settings: Any, port: int, *, timeout: float | None = 5, user: str = "", password: str = ""
) -> None:
    """Configure Django to send e-mail by SMTP to a port of loopback."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if django.VERSION >= (6, 1):
        options = {"host": "127.0.0.1", "port": port, "username": user, "password": password}
        extra = {} if timeout is None else {"timeout": timeout}
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options | extra}}
        return
    settings.EMAIL_BACKEND = backend
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = user, password
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_TIMEOUT = timeout
