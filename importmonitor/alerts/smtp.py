"""Django's SMTP backend, with a limit on what a server sends, and with every recipient's reply."""

import smtplib
from typing import Any

from django.core import mail
from django.core.mail.backends import smtp

#: Bytes of all replies of a server to one e-mail. Real ones take a few hundred.
MAX_REPLIES = 64 * 1024

# Seconds for each reply, where the host's settings have no timeout.
_TIMEOUT = 10


class _Replies:
    """A server's replies, as smtplib reads them: by lines."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_REPLIES

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            # smtplib closes the connection.
            raise OSError("the mail server's reply has no end")
        return line

    def close(self) -> None:
        self._file.close()


class _Connection(smtplib.SMTP):
    """Keeps the reply to each recipient that was refused, which Django throws away."""

    refused: dict[str, tuple[int, bytes]]

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        try:
            return super().getreply()
        except BaseException:
            # Of a deadline, for example. Nothing else closes it while it is being opened.
            self.close()
            raise

    def sendmail(self, *args: Any, **kwargs: Any) -> dict[str, tuple[int, bytes]]:
        self.refused = {}
        try:
            self.refused = super().sendmail(*args, **kwargs)
        except smtplib.SMTPRecipientsRefused as error:
            self.refused = error.recipients
            raise
        return self.refused


class _SslConnection(_Connection, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SslConnection if self.use_ssl else _Connection


def get_connection() -> Any:
    """Return Django's mail connection, with a timeout, and limited if it is one by SMTP.

    Django has no option for the class of the connection that its backend makes (to 6.1).
    """
    # Django 6.1 has several mailers, and deprecates get_connection.
    mailers: Any = getattr(mail, "mailers", None)
    connection: Any = mail.get_connection() if mailers is None else mailers.default
    if type(connection) is smtp.EmailBackend:
        connection.__class__ = EmailBackend
    if getattr(connection, "timeout", _TIMEOUT) is None:
        connection.timeout = _TIMEOUT
    return connection


def refused_recipients(connection: Any) -> dict[str, int]:
    """Return the reply code of each recipient that the server refused, though it took the e-mail.

    Empty for a backend that is not SMTP: it does not say.
    """
    refused = getattr(getattr(connection, "connection", None), "refused", {})
    return {address: code for address, (code, _text) in refused.items()}
