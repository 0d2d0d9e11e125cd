"""What Rocket.Chat's counters mean, which depends on the importer, the step and the release.

The sheet of facts: `completed` is written at every 50th or 500th record; the rest below that is
written only if the total is reached; and since 7.x some importers count users twice.
"""

from dataclasses import dataclass

from importmonitor.rocketchat.states import DONE

#: Importers that download what earlier imports left pending. They never check `valid`.
PENDING = frozenset({"pending-avatars", "pending-files"})
#: Importers that, since 7.x, count users one by one, and again when all of them are imported.
_COUNT_USERS_TWICE = frozenset({"csv", "slack", "slack-users"})

#: A step that came with the release that counts users twice.
_CONTACTS = "importer_importing_contacts"
_AFTER_USERS = (
    "importer_importing_channels",
    "importer_importing_messages",
    "importer_finishing",
)
#: The greatest number of records after which the counters are written, by step; otherwise 50.
_STRIDES = {"importer_importing_messages": 500, "importer_importing_files": 500}
_STRIDE = 50
#: An import can count a record or two too many (472 of 472 ended as 473), which is no evidence.
_TOLERANCE = 2


def stride(importer_key: str, status: str) -> int:
    """Return after how many records, at most, the counters are written at a step.

    For avatars and files it is 50 since 7.x, and nothing in the document says which release it is.
    1 where no records are imported.
    """
    if not status.startswith("importer_importing_"):
        return 1
    return 500 if importer_key in PENDING else _STRIDES.get(status, _STRIDE)


@dataclass(frozen=True)
class Counters:
    """The counters of an operation that its progress is computed from; None: not sent.

    `users_twice` is whether its users are counted twice, None if that is unknown.
    """

    total: int | None
    completed: int | None
    error: int | None
    users: int | None
    users_twice: bool | None

    @property
    def handled(self) -> int | None:
        """Rocket.Chat's own count of records that were imported or failed."""
        return None if self.completed is None else self.completed + max(self.error or 0, 0)

    @property
    def target(self) -> int | None:
        """What `handled` is at the end of a full import; None if that is unknown."""
        if self.total is None or self.total <= 0 or self.users_twice is None:
            return None
        return self.total + (max(self.users or 0, 0) if self.users_twice else 0)

    @property
    def records(self) -> int | None:
        """How many records were imported or failed, each counted once; None if that is unknown.

        Users that are counted twice are counted one by one, the failed ones among them, and the
        successful ones again when all are through.
        """
        completed, handled, users = self.completed, self.handled, max(self.users or 0, 0)
        if completed is None or handled is None or self.users_twice is False:
            return handled
        if completed <= users:
            return completed
        return max(users, handled - users) if self.users_twice else None

    @property
    def is_full(self) -> bool:
        """Whether all records of the file were handled, as far as the counters say.

        Without knowledge, exactly the total is full (users counted once), and so is the total and
        all users (counted twice); between the two, users were counted twice and some are missing.
        """
        handled, total = self.handled, self.total
        if total is None:
            return True
        if handled is None:
            return total <= 0
        twice = self.users_twice
        if twice is None:
            twice = handled > total + _TOLERANCE
        return handled >= total + (max(self.users or 0, 0) if twice else 0)

    def percent(self, *, has_ended: bool) -> int | None:
        """Return how many of the records were handled, 0 to 100; None if that is unknown.

        Rounded down, so that 100 means all, and never 100 before the end. If it is unknown how
        users are counted, the lower of two numbers that hardly differ.
        """
        total, most, least = self.total, self.handled, self.records
        if total is None or total <= 0 or most is None:
            return None
        if has_ended and self.is_full:
            return 100
        if least is None:
            least = most - max(self.users or 0, 0)
            if (most - least) * 100 > total:
                return None
        return max(0, min(99, least * 100 // total))


def users_counted_twice(
    importer_key: str,
    status: str,
    *,
    handled: int | None,
    users: int | None,
    channels: int | None,
    total: int | None,
) -> bool | None:
    """Return whether an operation's users are counted twice, None if its counters do not say.

    Args:
        importer_key, status: as in the document.
        handled: `completed` and `error` together.
        users, channels, total: the counters of the file's content; `total` is written last.
    """
    if importer_key not in _COUNT_USERS_TWICE:
        return False
    if not users or users < 0:
        return None if total is None else False
    if status == _CONTACTS:
        return True
    if handled is None:
        return None
    # The most that can have been handled at this step, if every record is counted once.
    limits = {
        "importer_importing_users": users,
        "importer_importing_channels": users + max(channels or 0, 0),
    }
    limit = limits.get(status, total)
    if limit is not None and handled > limit + _TOLERANCE:
        return True
    # Counted twice, twice the users are handled before the first channel, but for the records
    # below a full stride.
    if status in _AFTER_USERS and handled < 2 * users - _STRIDE:
        return False
    return False if status == DONE and handled == total else None
