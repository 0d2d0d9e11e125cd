"""A moment's memory of who may have which answer, so that one that is asked for often is cheap.

It lives in the process. After a change that another process makes (a new look, a revoked token or
permission) an answer is at most `REMEMBER_FOR` old, a second or less; after one that this process
makes, not at all. Measured: `python -m benchmarks.endpoint`.
"""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models.signals import m2m_changed, post_delete, post_save

from importmonitor import conf
from importmonitor.models import ApiToken, ImportOperation, SyncPeriod
from importmonitor.signals import operation_changed, sync_failed

#: With as many answers, those that are too old are swept out.
_MANY = 1000


class Key(NamedTuple):
    """Who asks for what: the credentials as they came, whether they are good or not."""

    endpoint: str
    workspace: str
    user_id: str
    token: str


@dataclass
class Answer:
    """A good answer; `calls` is how often it was given, `left` how often it may yet be.

    `body` is None where nobody has asked for it yet, but for whether it has changed.
    """

    expires_at: float
    etag: str
    last_modified: int
    headers: dict[str, str]
    body: bytes | None
    left: float
    calls: int = 0


_answers: dict[Key, Answer] = {}


def recall(key: Key) -> Answer | None:
    """Return what is remembered and may be given once more."""
    answer = _answers.get(key)
    if answer is None or answer.left < 1 or time.monotonic() >= answer.expires_at:
        return None
    return answer


def forget(key: Key) -> int:
    """Forget an answer; return how often it was given."""
    answer = _answers.pop(key, None)
    return answer.calls if answer else 0


def remember(key: Key, **answer: Any) -> None:
    """Remember an answer for as long as the settings say."""
    lasting = conf.options().remember_for.total_seconds()
    if not lasting:
        return
    now = time.monotonic()
    if len(_answers) >= _MANY:
        for each in [each for each, found in _answers.items() if found.expires_at <= now]:
            _answers.pop(each, None)
    if len(_answers) < _MANY:
        _answers[key] = Answer(expires_at=now + lasting, **answer)


def forget_all(**_signal: Any) -> None:
    """Forget everything: something has changed of what answers are made of."""
    _answers.clear()


def _forget_what_changes() -> None:
    for sender in (ImportOperation, SyncPeriod, ApiToken, Group, settings.AUTH_USER_MODEL):
        for signal in (post_save, post_delete):
            signal.connect(forget_all, sender=sender)
    # Of a user's permissions and groups, and of a group's permissions.
    m2m_changed.connect(forget_all)
    operation_changed.connect(forget_all)
    sync_failed.connect(forget_all)


_forget_what_changes()
