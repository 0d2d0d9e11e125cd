"""The channels: each carries a message somewhere, or says in one line why it could not."""

import hashlib
import logging
import re
import smtplib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from django.core import mail
from django.utils.module_loading import import_string

from importmonitor.alerts.messages import Message, one_line
from importmonitor.conf.channels import ChannelConfig


class Undelivered(Exception):
    """A message could not be delivered. The text is shown to people and holds no secret."""


class Misconfigured(Exception):
    """A channel cannot be made of its options; the text says what is wrong, without a secret."""


class Backend(Protocol):
    """What a channel's BACKEND has to be: made once for each delivery, of the channel's options.

    The constructor raises Misconfigured.
    """

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def send(self, message: Message) -> None:
        """Deliver a message, within seconds; raises Undelivered, or anything else."""


def backend(channel: ChannelConfig) -> Backend:
    """Return what carries a channel's messages; raises Misconfigured."""
    try:
        made: Backend = import_string(channel.backend)(channel.options)
    except ImportError as error:
        raise Misconfigured(f"{channel.backend} cannot be imported: {error}.") from None
    except Misconfigured:
        raise
    except Exception as error:  # noqa: BLE001 - a host's own backend can raise anything
        # Not its text, which may hold an option.
        raise Misconfigured(f"{channel.backend} raised {type(error).__name__}.") from None
    return made


class EmailChannel:
    """E-mail by Django's own mail settings.

    Options: TO, a list of addresses; FROM, an address instead of DEFAULT_FROM_EMAIL.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        _know(options, {"TO", "FROM"})
        to = options.get("TO")
        if not isinstance(to, list | tuple) or not to or not all(map(_is_address, to)):
            raise Misconfigured("TO is to be a list of e-mail addresses, with one at least.")
        if not _is_address(options.get("FROM", "a@b")):
            raise Misconfigured("FROM is to be an e-mail address.")
        self.to = list(to)
        self.sender = options.get("FROM")

    def send(self, message: Message) -> None:
        # The same for every attempt, from whatever machine: a mailbox that gets it twice can tell.
        key = hashlib.sha256(message.body["idempotency_key"].encode()).hexdigest()[:32]
        letter = mail.EmailMessage(
            subject=f"[importmonitor] {message.title}",
            body=message.text,
            from_email=self.sender,
            to=self.to,
            headers={
                "Message-ID": f"<importmonitor.{key}@importmonitor.invalid>",
                # RFC 3834: nobody is to answer that they are on holiday.
                "Auto-Submitted": "auto-generated",
                "X-Importmonitor-Event": message.body["event"],
            },
        )
        mailer = _mailer()
        try:
            try:
                mailer.send_messages([letter])
            finally:
                # After a login that was refused, Django leaves it open.
                mailer.close()
        except smtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(sorted({str(code) for code, _ in error.recipients.values()}))
            raise Undelivered(f"The mail server refused every address ({codes}).") from None
        except smtplib.SMTPResponseException as error:
            # Its text can repeat what was sent, credentials included.
            raise Undelivered(f"The mail server answered {error.smtp_code}.") from None
        except smtplib.SMTPException as error:
            raise Undelivered(f"The mail server refused ({type(error).__name__}).") from None
        except OSError as error:
            raise Undelivered(
                f"The mail server could not be reached: {error.strerror or error}."
            ) from None


class AppriseChannel:
    """Any of the services that the library Apprise knows, by its URL for it.

    Options: URL, such as slack://…, rocket://…, msteams://…, pagerduty://…, jsons://…. A JSON
    hook (json://, jsons://) gets the whole JSON form, and the key as `Idempotency-Key`.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        _know(options, {"URL"})
        url = options.get("URL")
        if not isinstance(url, str) or "://" not in url:
            raise Misconfigured("URL is to be an Apprise URL, like slack://…")
        self.scheme = url.partition("://")[0].strip().lower()
        try:
            import apprise
        except ImportError:
            raise Misconfigured(
                "This channel needs Apprise: pip install 'importmonitor[apprise]'."
            ) from None
        with _apprise_said():
            service: Any = apprise.Apprise.instantiate(url)
        if service is None:
            # Not the URL: it is made of secrets.
            raise Misconfigured(f"Apprise cannot read the URL, which begins {self.scheme}://")
        self.service = service

    def send(self, message: Message) -> None:
        if self.scheme in {"json", "jsons"}:
            self.service.payload_extras = {**self.service.payload_extras, **message.body}
            self.service.headers["Idempotency-Key"] = message.body["idempotency_key"]
        with _apprise_said() as said:
            # As text: of what Rocket.Chat's users named their files, nothing is markup.
            delivered = self.service.notify(
                title=message.title,
                body=message.text,
                body_format="text",
                notify_type=_type(message),
            )
        if not delivered:
            code = next((found[1] for each in said if (found := _CODE.search(each))), None)
            why = f"was answered {code}" if code else "was not accepted, or could not be reached"
            raise Undelivered(f"{self.scheme}: {why}.")


#: Seconds for each answer of a mail server, where the host's settings give none.
_MAIL_TIMEOUT = 10
_CODE = re.compile(r"error=([0-9]{3})\b")
_capturing: ContextVar[list[str] | None] = ContextVar("capturing", default=None)


def _mailer() -> Any:
    """Return Django's connection for mail, which gives up if the server says nothing."""
    # Django 6.1 has several mailers, and deprecates get_connection.
    mailers: Any = getattr(mail, "mailers", None)
    connection: Any = mail.get_connection() if mailers is None else mailers.default
    if getattr(connection, "timeout", _MAIL_TIMEOUT) is None:
        connection.timeout = _MAIL_TIMEOUT
    return connection


def _is_address(value: object) -> bool:
    return isinstance(value, str) and "@" in value and one_line(value) == value


def _know(options: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(str(key) for key in options if key not in known):
        raise Misconfigured(
            f"Unknown: {', '.join(unknown)}. There are {', '.join(sorted(known))} "
            "besides BACKEND and EVENTS."
        )


def _type(message: Message) -> str:
    return {
        "import.failed": "failure",
        "import.interrupted": "failure",
        "workspace.unreachable": "failure",
        "import.stalled": "warning",
        "import.waiting": "warning",
        "import.finished": "success",
        "workspace.recovered": "success",
    }.get(message.body["event"], "info")


@contextmanager
def _apprise_said() -> Iterator[list[str]]:
    """Take what is logged about a delivery out of the log: URLs of services are secrets."""
    said: list[str] = []
    token = _capturing.set(said)
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3.connectionpool")]
    for logger in loggers:
        logger.addFilter(_capture)
    try:
        yield said
    finally:
        _capturing.reset(token)


def _capture(record: logging.LogRecord) -> bool:
    said = _capturing.get()
    if said is None:
        return True
    said.append(record.getMessage())
    return False
