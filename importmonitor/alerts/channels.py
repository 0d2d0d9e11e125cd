"""The channels that deliver messages, or say in one line why they could not."""

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
from importmonitor.conf.problems import DOTTED_PATH, describe_name


class Undelivered(Exception):
    """A message could not be delivered. The text is shown to people and contains no secret."""


class Misconfigured(Exception):
    """A channel's options are invalid. The text says what is wrong and contains no secret."""


class Backend(Protocol):
    """The interface of a channel's BACKEND, which is instantiated for each delivery.

    The constructor gets the channel's other options, and raises Misconfigured.
    """

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def send(self, message: Message) -> None:
        """Deliver a message within seconds; raises Undelivered, or anything else."""


def load_backend(channel: ChannelConfig) -> Backend:
    """Return a channel's backend; raises Misconfigured."""
    if not DOTTED_PATH.fullmatch(channel.backend):
        raise Misconfigured("BACKEND is not a dotted path.")
    try:
        backend: Backend = import_string(channel.backend)(channel.options)
    except ImportError as error:
        problem = f"{channel.backend} cannot be imported: {error}."
    except Misconfigured as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - a host's own backend can raise anything
        # Without its text, which may contain an option.
        problem = f"{channel.backend} raised {type(error).__name__}."
    else:
        return backend
    # Raised here: in the context, an error would carry frames with the options.
    raise Misconfigured(problem)


class EmailChannel:
    """E-mail, by Django's own mail settings.

    Options: TO, a list of addresses; FROM, an address instead of DEFAULT_FROM_EMAIL.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        _refuse_unknown(options, {"TO", "FROM"})
        to = options.get("TO")
        if not isinstance(to, list | tuple) or not to or not all(map(_is_address, to)):
            raise Misconfigured("TO must be a list of at least one e-mail address.")
        if not _is_address(options.get("FROM", "a@b")):
            raise Misconfigured("FROM must be an e-mail address.")
        self.to = list(to)
        self.sender = options.get("FROM")

    def send(self, message: Message) -> None:
        # The same for every attempt from every host, so that a mailbox can drop duplicates.
        key = hashlib.sha256(message.body["idempotency_key"].encode()).hexdigest()[:32]
        email = mail.EmailMessage(
            subject=f"[importmonitor] {message.title}",
            body=message.text,
            from_email=self.sender,
            to=self.to,
            headers={
                "Message-ID": f"<importmonitor.{key}@importmonitor.invalid>",
                # RFC 3834: no out-of-office replies.
                "Auto-Submitted": "auto-generated",
                "X-Importmonitor-Event": message.body["event"],
            },
        )
        connection = _mail_connection()
        try:
            try:
                connection.send_messages([email])
            finally:
                # Django leaves it open after a refused login.
                connection.close()
        except smtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(sorted({str(code) for code, _ in error.recipients.values()}))
            raise Undelivered(f"The mail server refused all recipients ({codes}).") from None
        except smtplib.SMTPResponseException as error:
            # Its text can quote what was sent, credentials included.
            raise Undelivered(f"The mail server answered {error.smtp_code}.") from None
        except smtplib.SMTPException as error:
            raise Undelivered(f"The mail server refused ({type(error).__name__}).") from None
        except OSError as error:
            raise Undelivered(
                f"The mail server could not be reached: {error.strerror or error}."
            ) from None


class AppriseChannel:
    """Any of the services that the library Apprise supports.

    Options: URL, such as slack://…, rocket://…, msteams://…, pagerduty://…, jsons://…. A JSON
    webhook (json://, jsons://) gets the whole JSON form, and the key as `Idempotency-Key`.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        _refuse_unknown(options, {"URL"})
        url = options.get("URL")
        if not isinstance(url, str) or "://" not in url:
            raise Misconfigured("URL must be an Apprise URL, like slack://…")
        self.scheme = url.partition("://")[0].strip().lower()
        try:
            import apprise
        except ImportError:
            raise Misconfigured(
                "This channel needs Apprise: pip install 'importmonitor[apprise]'."
            ) from None
        with _captured_logs():
            service: Any = apprise.Apprise.instantiate(url)
        if service is None:
            # Without the URL, which contains secrets.
            scheme = describe_name(self.scheme)
            raise Misconfigured(f"Apprise cannot parse the URL, whose scheme is {scheme}.")
        self.service = service

    def send(self, message: Message) -> None:
        if self.scheme in {"json", "jsons"}:
            self.service.payload_extras = {**self.service.payload_extras, **message.body}
            self.service.headers["Idempotency-Key"] = message.body["idempotency_key"]
        with _captured_logs() as lines:
            # As text: nothing in the names of Rocket.Chat users' files is markup.
            delivered = self.service.notify(
                title=message.title,
                body=message.text,
                body_format="text",
                notify_type=_notify_type(message),
            )
        if not delivered:
            code = next((match[1] for line in lines if (match := _CODE.search(line))), None)
            reason = f"HTTP status {code}" if code else "not accepted, or not reachable"
            raise Undelivered(f"{self.scheme}: {reason}.")


#: Seconds for each reply of a mail server, where the host's settings have no timeout.
_MAIL_TIMEOUT = 10
_CODE = re.compile(r"error=([0-9]{3})\b")
_captured_lines: ContextVar[list[str] | None] = ContextVar("captured_lines", default=None)


def _mail_connection() -> Any:
    """Return Django's mail connection, always with a timeout."""
    # Django 6.1 has several mailers, and deprecates get_connection.
    mailers: Any = getattr(mail, "mailers", None)
    connection: Any = mail.get_connection() if mailers is None else mailers.default
    if getattr(connection, "timeout", _MAIL_TIMEOUT) is None:
        connection.timeout = _MAIL_TIMEOUT
    return connection


def _is_address(value: object) -> bool:
    return isinstance(value, str) and "@" in value and one_line(value) == value


def _refuse_unknown(options: Mapping[str, Any], names: set[str]) -> None:
    if unknown := sorted(describe_name(key) for key in options if key not in names):
        raise Misconfigured(
            f"Unknown option: {', '.join(unknown)}. The options are BACKEND, EVENTS and "
            f"{', '.join(sorted(names))}."
        )


def _notify_type(message: Message) -> str:
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
def _captured_logs() -> Iterator[list[str]]:
    """Keep the lines that a delivery logs out of the logs: the URLs of services are secrets."""
    lines: list[str] = []
    token = _captured_lines.set(lines)
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3.connectionpool")]
    for logger in loggers:
        logger.addFilter(_capture)
    try:
        yield lines
    finally:
        _captured_lines.reset(token)


def _capture(record: logging.LogRecord) -> bool:
    lines = _captured_lines.get()
    if lines is None:
        return True
    lines.append(record.getMessage())
    return False
