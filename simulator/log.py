"""The log of a workspace: what really happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event, and the operation right after it.

    An import has really ended at its first entry of `aborted`, `killed` or `cancelled`, or else at
    its last of `moved`. One that was aborted still passes its steps to `importer_done`, in moments;
    pending files arrive after that status.

    Attributes:
        at: the true time of the event, in whole milliseconds, whatever Rocket.Chat's clock says.
        event: of an operation: `started`, `placed`, `moved` (an import's own write), `selected`,
            `cancelled`, `prepared`, `invalidated`, `aborted` (its importer noticed that it is
            invalid, and imports nothing more), `killed` (its process died), `removed`; of the
            workspace: `restarted`, `instance-started`, `cleared`, `killed`, `restored`.
        operation_id: its `_id`; None if the event concerns the workspace.
        status: its raw step.
        valid: its `valid`.
        count: its counters.
        imported: the records really imported up to now, by type.
    """

    at: datetime
    event: str
    operation_id: str | None = None
    status: str | None = None
    valid: bool | None = None
    count: Mapping[str, Any] = field(default_factory=dict)
    imported: Mapping[str, int] = field(default_factory=dict)
