"""What an operation's badge does not say: what it waits for, and what is known of its end."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from importmonitor import humanize
from importmonitor.admin import times
from importmonitor.models import ImportOperation, Outcome, StatusTransition, Workspace
from importmonitor.rocketchat import counters, states

#: From this number of records between two writes of the counters, the page says so.
_SELDOM = 500

FormatTime = Callable[[datetime], SafeString]

_WAITING = {
    "importer_file_loaded": lambda: _(
        "Waiting: open the import's prepare page in Rocket.Chat. If it was opened before, "
        "preparing the file failed, and Rocket.Chat's server log has the reason."
    ),
    "importer_user_selection": lambda: _("Waiting: choose in Rocket.Chat what to import."),
}


class Remark(NamedTuple):
    """A sentence; `tone` chooses its colour, as that of a badge."""

    text: str
    tone: str = "quiet"


def of_operation(
    operation: ImportOperation,
    workspace: Workspace | None,
    transitions: Iterable[StatusTransition] = (),
    format_time: FormatTime = times.format_time,
) -> list[Remark]:
    """Return the remarks on an operation; `transitions` are the known ones, oldest first."""
    remarks = []
    if operation.gone_at is not None:
        text = _(
            "Not in Rocket.Chat since {time}: it was deleted there. Its last known status is "
            "kept here."
        )
        remarks.append(Remark(format_html(text, time=format_time(operation.gone_at))))
    if operation.is_active:
        remarks += _of_active(operation, workspace, format_time)
    elif operation.present_outcome == Outcome.INCOMPLETE:
        remarks += _of_incomplete(operation, transitions)
    else:
        remarks += _of_premature_end(operation, workspace)
    return remarks


def _of_active(
    operation: ImportOperation, workspace: Workspace | None, format_time: FormatTime
) -> Iterator[Remark]:
    is_hidden = workspace is not None and workspace.current_operation_id != operation.pk
    if workspace is not None and is_hidden and operation.finished_at is None:
        yield _of_hidden(operation, workspace, format_time)
    if operation.valid is False:
        if operation.is_pending_download:
            yield Remark(
                _(
                    "Invalidated by Rocket.Chat, but it runs on: pending files and avatars never "
                    "check it."
                )
            )
        else:
            # No other importer runs on in a later release: it would have ended here.
            yield Remark(
                _(
                    "Invalidated by Rocket.Chat, but it runs on: up to 6.2, Rocket.Chat does not "
                    "stop an import for that."
                )
            )
    if operation.status in states.ENDS:
        yield Remark(_("Rocket.Chat says done; the last downloads are still arriving."))
    elif operation.status in _WAITING and not is_hidden:
        yield Remark(_WAITING[operation.status](), "wait")
    elif operation.status.startswith("importer_importing_"):
        records = counters.stride(operation.importer_key, operation.status)
        if records >= _SELDOM:
            text = _(
                "Rocket.Chat counts every %(count)sth record, so the counters rest while it works."
            )
            yield Remark(text % {"count": humanize.format_number(records)})


def _of_hidden(operation: ImportOperation, workspace: Workspace, format_time: FormatTime) -> Remark:
    if workspace.list_refused:
        text = _("Behind a newer import. Its end cannot be seen: %(reason)s")
        return Remark(text % {"reason": workspace.list_refused}, "wait")
    text = _("Behind a newer import; last change {time}, followed through Rocket.Chat's list.")
    return Remark(format_html(text, time=format_time(operation.last_seen_at)))


def _of_incomplete(
    operation: ImportOperation, transitions: Iterable[StatusTransition]
) -> Iterator[Remark]:
    yield Remark(
        _(
            "Fewer than the file holds. Rocket.Chat does not say what was chosen, and counts in "
            "steps of 50 or 500."
        )
    )
    ends = (row for row in transitions if row.to_status == states.DONE)
    end = next(ends, None)
    if end is not None and end.valid is False and operation.stops_when_invalid:
        yield Remark(
            _(
                "When its end was first seen, it was already invalid: Rocket.Chat may have "
                "stopped it early."
            ),
            "wait",
        )


def _of_premature_end(operation: ImportOperation, workspace: Workspace | None) -> Iterator[Remark]:
    outcome = operation.present_outcome
    if outcome == Outcome.SUPERSEDED:
        is_refused = workspace is not None and workspace.list_refused
        if operation.status in states.ENDS:
            yield Remark(
                _(
                    "Rocket.Chat calls it done, but stopped it early for a newer import and "
                    "skipped the rest."
                )
            )
        elif is_refused and operation.valid and operation.status not in states.RESTING_STEPS:
            text = _(
                "A newer import took its place. Whether it still runs cannot be seen: %(reason)s"
            )
            yield Remark(text % {"reason": workspace.list_refused if workspace else ""}, "wait")
    elif outcome == Outcome.INTERRUPTED and operation.gone_at is None:
        if operation.status in states.ENDS:
            text = _(
                "Rocket.Chat calls it done, but stopped it early and skipped the rest: it was "
                "invalidated before its end."
            )
        elif not operation.is_pending_download:
            text = _(
                "Rocket.Chat has abandoned this import, although its own page may still show a "
                "progress bar."
            )
        else:
            text = _(
                "Rocket.Chat invalidated it and it no longer moves: its server was probably "
                "stopped. If it moves again, it is followed again."
            )
        yield Remark(text, "bad")
