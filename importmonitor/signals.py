"""Signals for other apps.

All are sent after the commit, by `send_robust`: a receiver that raises is logged by Django and
stops neither the other receivers nor the sync. They are sent in the process that synced, and are
lost if it is killed in between: a receiver that must not miss anything reads the rows.

`operation_changed`
    An operation is new or has changed. `sender`: ImportOperation; `operation`: the saved
    ImportOperation; `created`: bool, whether it is new; `changed`: dict of the changed fields'
    names to pairs of old and new value; `transitions`: list of the saved StatusTransitions of
    this change.

`operation_stalled`
    An operation has made no progress for longer than the threshold; sent once, when it stalls.
    `sender`: ImportOperation; `operation`: the saved ImportOperation.

`sync_failed`
    A poll of a workspace failed; sent at every such poll. `sender`: SyncPeriod; `workspace`: str,
    its alias; `error`: the RocketChatError, whose text holds no credential.
"""

from django.dispatch import Signal

operation_changed = Signal()
operation_stalled = Signal()
sync_failed = Signal()
