"""A moment's memory of who may have which answer, so that one that is asked for often is cheap.

It lives in the process. After a change (a new look, a revoked token or permission) an answer is at
most `REMEMBER_FOR` old, a second or less; after most that this process makes itself, not at all.
Measured: `python -m benchmarks.endpoint`.
"""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

from importmonitor import conf
from importmonitor.models import ApiToken, ImportOperation, SyncPeriod
from importmonitor.signals import operation_changed, sync_failed

#: With as many answers, those that are too old are swept out.
_MANY = 1000


class Key(NamedTuple):
    """Who asks for what: the credentials as they came, whether they are good or not.

    `token` is a digest: this is no place to keep the text of one.
    """

    endpoint: str
    workspace: str
    user_id: str
    token: str


class Beginning(NamedTuple):
    """When an answer began to be made, in which generation and on the monotonic clock."""

    generation: int
    at: float


@dataclass(frozen=True)
class Answer:
    """A good answer, and by what `caller` its calls are counted.

    `body` is None where nobody has asked for it yet, but for whether it has changed.
    """

    expires_at: float
    caller: str
    etag: str
    last_modified: int
    headers: dict[str, str]
    body: bytes | None


_answers: dict[Key, Answer] = {}
_generation = 0


def begin() -> Beginning:
    """Note that an answer begins to be made: what it tells may be as old as that."""
    return Beginning(_generation, time.monotonic())


def recall(key: Key) -> Answer | None:
    """Return what is remembered and still good."""
    answer = _answers.get(key)
    return answer if answer and time.monotonic() < answer.expires_at else None


def remember(key: Key, begun: Beginning, **answer: Any) -> None:
    """Remember an answer for as long as the settings say, from when it began to be made.

    Unless something has changed since: it may tell of what was before.
    """
    lasting = conf.options().remember_for.total_seconds()
    now = time.monotonic()
    if begun.generation != _generation or begun.at + lasting <= now:
        return
    if len(_answers) >= _MANY:
        for each, found in list(_answers.items()):
            if found.expires_at <= now:
                _answers.pop(each, None)
    if len(_answers) < _MANY:
        _answers[key] = Answer(expires_at=begun.at + lasting, **answer)


def forget_all(*, using: str | None = None, **_signal: Any) -> None:
    """Forget everything: something has changed of what answers are made of."""
    _forget()
    # Once more when others can see it: until then they go on remembering what was before.
    transaction.on_commit(_forget, using=using)


def _forget() -> None:
    global _generation  # noqa: PLW0603 - the memory is the module's
    _generation += 1
    _answers.clear()


def _forget_what_changes() -> None:
    for sender in (
        ImportOperation,
        SyncPeriod,
        ApiToken,
        Group,
        Permission,
        settings.AUTH_USER_MODEL,
    ):
        for signal in (post_save, post_delete):
            signal.connect(forget_all, sender=sender)
    # Of a user's permissions and groups, and of a group's permissions.
    m2m_changed.connect(forget_all)
    operation_changed.connect(forget_all)
    sync_failed.connect(forget_all)


_forget_what_changes()
