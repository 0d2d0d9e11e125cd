"""What somebody may want to be told: the names that hooks and settings use."""

from enum import StrEnum


class Event(StrEnum):
    """Something worth a message.

    An operation's end is one of FINISHED, FAILED and INTERRUPTED. FINISHED covers every end that
    is not trouble; which one, the message's outcome tells.
    """

    STARTED = "import.started"
    WAITING = "import.waiting"
    FINISHED = "import.finished"
    FAILED = "import.failed"
    INTERRUPTED = "import.interrupted"
    STALLED = "import.stalled"
    RESUMED = "import.resumed"
    UNREACHABLE = "workspace.unreachable"
    RECOVERED = "workspace.recovered"
