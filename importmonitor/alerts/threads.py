"""Which e-mails a mail program keeps together: those about one import, or about one outage."""

from typing import Any

from django.utils.crypto import salted_hmac

#: A header with more ids could be longer than a mail server accepts.
_MAX_THREADS = 20


def thread_headers(body: dict[str, Any]) -> dict[str, str]:
    """Return the headers by which an e-mail belongs to the thread of its subject.

    They refer to an id that no e-mail has (RFC 5322, 3.6.4), so it does not matter which alert a
    recipient gets first. An outage of several workspaces joins their threads.
    """
    if body["operation"] is None and body["sync"] is None:
        return {}
    subjects = sorted(set(map(_subject, body.get("alerts", [body]))))
    ids = [_thread_id(subject) for subject in subjects[:_MAX_THREADS]]
    return {"In-Reply-To": ids[-1], "References": " ".join(ids)}


def _subject(body: dict[str, Any]) -> str:
    operation = body["operation"]
    if operation is not None:
        return f"{body['workspace']}:{operation['remote_id']}"
    # The incident of a workspace that flaps has many outages.
    since = (body.get("incident") or body["sync"])["since"]
    return f"{body['workspace']}:{since}"


def _thread_id(subject: str) -> str:
    # Keyed: another site can monitor the same workspace, or have one of the same name.
    digest = salted_hmac("importmonitor.alerts.threads", subject, algorithm="sha256").hexdigest()
    # Short enough for a line: Python would encode a longer one.
    return f"<thread.{digest[:32]}@importmonitor.invalid>"
