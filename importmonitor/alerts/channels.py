"""The channels that deliver messages, or say in one line why they could not."""

import hashlib
import logging
import re
import smtplib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parseaddr
from typing import Any, Protocol

from django.core import mail
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.module_loading import import_string

from importmonitor.alerts import smtp
from importmonitor.alerts.contents import get_tone
from importmonitor.alerts.http import limited_http
from importmonitor.alerts.messages import Message
from importmonitor.alerts.plain_text import defuse, one_line
from importmonitor.alerts.threads import thread_headers
from importmonitor.conf.channels import KEYS, ChannelConfig
from importmonitor.conf.problems import DOTTED_PATH, describe_name


class Undelivered(Exception):
    """A message could not be delivered. The text is shown to people and contains no secret.

    `delivered_to` are the recipients that got it nevertheless; `is_final` is whether no other
    recipient will: all others were refused for good.
    """

    def __init__(
        self, text: str, *, delivered_to: Collection[str] = (), is_final: bool = False
    ) -> None:
        super().__init__(text)
        self.delivered_to = list(delivered_to)
        self.is_final = is_final


class Misconfigured(Exception):
    """A channel's options are invalid. The text says what is wrong and contains no secret."""


class Backend(Protocol):
    """The interface of a channel's BACKEND, which is instantiated for each delivery.

    The constructor gets the channel's other options, and raises Misconfigured. A backend whose
    `can_group` is False gets each alert by itself, others get those with one cause as one message.
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
        if not isinstance(to, list | tuple) or not to:
            raise Misconfigured(f"TO must be a list of e-mail addresses. {_ADDRESS_HINT}")
        for number, address in enumerate(to, start=1):
            if not is_address(address):
                raise Misconfigured(f"Entry {number} of TO is not one address. {_ADDRESS_HINT}")
        if not is_address(options.get("FROM", "root@localhost")):
            raise Misconfigured(f"FROM is not one e-mail address. {_ADDRESS_HINT}")
        self.to = list(to)
        self.sender = options.get("FROM")

    def send(self, message: Message) -> None:
        to = [address for address in self.to if address not in message.delivered_to]
        connection = smtp.get_connection()
        try:
            try:
                # Django closes what it opened itself, with the replies.
                connection.open()
                connection.send_messages([self._email(message, to)])
                refused = smtp.refused_recipients(connection)
            finally:
                # Django leaves it open after a refused login.
                connection.close()
        except smtplib.SMTPRecipientsRefused as error:
            refused = {address: code for address, (code, _text) in error.recipients.items()}
        except smtplib.SMTPResponseException as error:
            # Its text can quote what was sent, credentials included.
            raise Undelivered(f"The mail server answered {error.smtp_code}.") from None
        except smtplib.SMTPException as error:
            raise Undelivered(f"The mail server refused ({type(error).__name__}).") from None
        except OSError as error:
            raise Undelivered(
                f"The mail server could not be reached: {error.strerror or error}."
            ) from None
        if refused:
            raise _refusal(to, refused, message.delivered_to)

    def _email(self, message: Message, to: list[str]) -> mail.EmailMultiAlternatives:
        # The same for every attempt from every host, so that a mailbox can drop duplicates.
        key = hashlib.sha256(message.body["idempotency_key"].encode()).hexdigest()[:32]
        email = mail.EmailMultiAlternatives(
            subject=f"[importmonitor] {message.title}",
            body=message.text,
            from_email=self.sender,
            to=to,
            headers={
                "To": ", ".join(self.to),
                "Message-ID": f"<importmonitor.{key}@importmonitor.invalid>",
                # RFC 3834: no out-of-office replies.
                "Auto-Submitted": "auto-generated",
                "X-Importmonitor-Event": message.body["event"],
                **thread_headers(message.body),
            },
        )
        if message.html:
            email.attach_alternative(message.html, "text/html")
        return email


def _refusal(to: list[str], refused: dict[str, int], before: Collection[str]) -> Undelivered:
    """Return the error for an e-mail that a mail server took for some recipients, or for none.

    `refused` are the reply codes by address; `before` are the recipients of earlier attempts.
    """
    addresses = {parseaddr(address)[1]: address for address in to}
    codes = {addresses.get(address, address): code for address, code in refused.items()}
    delivered_to = [*before, *(address for address in to if address not in codes)]
    replies = ", ".join(f"{address} ({code})" for address, code in codes.items())
    # RFC 5321, 4.2.1: 5yz is permanent. If no recipient got it, more than addresses may be wrong.
    is_final = bool(delivered_to) and all(code >= 500 for code in codes.values())
    return Undelivered(
        f"The mail server refused {replies}.", delivered_to=delivered_to, is_final=is_final
    )


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
        # A program reads one alert after the other.
        self.can_group = self.scheme not in _JSON_SCHEMES

    def send(self, message: Message) -> None:
        title, text = message.title, message.text
        if self.scheme in _JSON_SCHEMES:
            self.service.payload_extras = {**self.service.payload_extras, **message.body}
            self.service.headers["Idempotency-Key"] = message.body["idempotency_key"]
        elif self.scheme not in _EXACT_SCHEMES:
            title, text = defuse(title), defuse(text, message.links)
        kind = _NOTIFY_TYPES.get(get_tone(message.body), "info")
        with _captured_logs() as lines, limited_http() as exchange:
            delivered = self.service.notify(
                title=title, body=text, body_format="text", notify_type=kind
            )
        if exchange.problem:
            raise Undelivered(f"{self.scheme}: {exchange.problem}.")
        if not delivered:
            code = next((match[1] for line in lines if (match := _CODE.search(line))), None)
            reason = f"HTTP status {code}" if code else "not accepted, or not reachable"
            raise Undelivered(f"{self.scheme}: {reason}.")


_JSON_SCHEMES = frozenset({"json", "jsons"})
#: Programs and mailboxes, which show text as it is.
_EXACT_SCHEMES = frozenset({"xml", "xmls", "form", "forms", "mailto", "mailtos", "syslog"})
#: Apprise's, by the tone of a message's state.
_NOTIFY_TYPES = {"bad": "failure", "warn": "warning", "good": "success"}
_CODE = re.compile(r"error=([0-9]{3})\b")
_captured_lines: ContextVar[list[str] | None] = ContextVar("captured_lines", default=None)


# One address, bare or after a name; a comma or the like in the name has to be quoted (RFC 5322,
# section 3.4).
_ADDRESS = re.compile(r'(?:"[^"]*" *|[^"@,;:<>()]*)<([^<>]+)>|([^<>]+)')
_ADDRESS_HINT = (
    "Write each address on its own, as ops@example.org or Operations <ops@example.org>, "
    "without “mailto:”; IMPORTMONITOR_ALERT_EMAILS separates them by commas."
)


def is_address(value: object) -> bool:
    """Return whether a value is one e-mail address, with or without a name."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or one_line(match.string) != match.string:
        return False
    address = match[1] or match[2]
    domain = address.rpartition("@")[2]
    # Unlike on a web page, a host of the local network is a domain: root@mailhost.
    is_host = re.fullmatch("[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", domain)
    try:
        EmailValidator(allowlist=[domain] if is_host else [])(address)
    except ValidationError:
        return False
    return True


def _refuse_unknown(options: Mapping[str, Any], names: set[str]) -> None:
    if unknown := sorted(describe_name(key) for key in options if key not in names):
        raise Misconfigured(
            f"Unknown option: {', '.join(unknown)}. The options are {', '.join(KEYS)} and "
            f"{', '.join(sorted(names))}."
        )


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
