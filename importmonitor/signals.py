"""What other apps may listen to.

All are sent when what they tell of has been committed, by `send_robust`: a receiver that raises
is logged by Django and stops neither the others nor the sync. They are sent in the process that
synced, and not again if that is killed in between: who must not miss anything reads the rows.

`operation_changed`
    An operation was found or has changed. `sender`: ImportOperation; `operation`: the saved
    ImportOperation; `created`: bool, whether it was not known before; `changed`: dict of the
    changed fields' names to pairs of old and new value; `transitions`: list of the saved
    StatusTransitions that go with it.

`operation_stalled`
    An operation that should move has not for longer than the threshold; once, when that begins.
    `sender`: ImportOperation; `operation`: the saved ImportOperation.

`sync_failed`
    A workspace could not be looked at; at every such poll. `sender`: SyncPeriod; `workspace`:
    str, its alias; `error`: the RocketChatError, whose text holds no credential.
"""

from django.dispatch import Signal

operation_changed = Signal()
operation_stalled = Signal()
sync_failed = Signal()
