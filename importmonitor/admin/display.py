"""HTML of operations, durations and counters. Badges have words and symbols, not colour alone.

A value has a direction of its own, which a page from right to left must not reorder: `<bdi>`.
"""

import json
import re
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from importmonitor import humanize
from importmonitor.choices import GOOD_STATUSES, sync_status_label
from importmonitor.models import ImportOperation, Outcome
from importmonitor.models.outcomes import TimeLeft
from importmonitor.rocketchat import states
from importmonitor.rocketchat.states import RESTING_STEPS, ImportState

EMPTY = "–"
_SPACES = re.compile(r">\s+<")


class Badge(NamedTuple):
    """A label with a symbol; `tone` chooses its colours: busy, wait, good, warn, bad, quiet."""

    label: Any
    symbol: str
    tone: str


STATES = {
    ImportState.NEW: Badge(gettext_lazy("New"), "○", "busy"),
    ImportState.LOADING: Badge(gettext_lazy("Loading"), "◔", "busy"),
    ImportState.READY: Badge(gettext_lazy("Waiting"), "‖", "wait"),
    ImportState.IMPORTING: Badge(gettext_lazy("Running"), "▶", "busy"),
    ImportState.DONE: Badge(gettext_lazy("Done"), "✓", "good"),
    ImportState.ERROR: Badge(gettext_lazy("Error"), "✕", "bad"),
    ImportState.CANCELED: Badge(gettext_lazy("Canceled"), "⊘", "quiet"),
    ImportState.UNKNOWN: Badge(gettext_lazy("Unknown status"), "?", "wait"),
}

OUTCOMES = {
    Outcome.DONE: Badge(Outcome.DONE.label, "✓", "good"),
    Outcome.DONE_WITH_ERRORS: Badge(Outcome.DONE_WITH_ERRORS.label, "!", "warn"),
    # Nothing is known to be wrong: less may have been chosen than the file holds.
    Outcome.INCOMPLETE: Badge(Outcome.INCOMPLETE.label, "◕", "quiet"),
    Outcome.FAILED: Badge(Outcome.FAILED.label, "✕", "bad"),
    Outcome.INTERRUPTED: Badge(Outcome.INTERRUPTED.label, "↯", "bad"),
    Outcome.SUPERSEDED: Badge(Outcome.SUPERSEDED.label, "↷", "quiet"),
    Outcome.CANCELED: Badge(Outcome.CANCELED.label, "⊘", "quiet"),
}

NEVER_SYNCED = Badge(gettext_lazy("Never synced"), "○", "wait")
STALLED = Badge(gettext_lazy("Stalled"), "■", "bad")


def operation_badge(operation: ImportOperation) -> SafeString:
    """Return the badge of an operation as HTML."""
    return render_badge(badge_of(operation))


def badge_of(operation: ImportOperation) -> Badge:
    """Return the badge of the outcome, or of the state while an operation runs (again)."""
    if outcome := operation.present_outcome:
        return OUTCOMES[outcome]
    if operation.is_stalled:
        return STALLED
    return active_badge(operation) if operation.is_active else state_badge(operation.state)


def active_badge(operation: ImportOperation) -> Badge:
    """Return the badge of an operation that has not ended."""
    if operation.status == "importer_file_loaded":
        # Rocket.Chat's state is "loading", but nothing runs.
        return STATES[ImportState.READY]
    if operation.status == states.DONE:
        # The last downloads of pending files are still under way.
        return STATES[ImportState.IMPORTING]
    # Rocket.Chat calls every invalid operation an error, but this one runs on.
    if operation.valid is False:
        return step_badge(operation.status)
    return state_badge(operation.state)


def step_badge(status: str) -> Badge:
    """Return the badge of a step whatever `valid` says."""
    return STATES.get(states.state_of(status, None), STATES[ImportState.UNKNOWN])


def render_badge(badge: Badge) -> SafeString:
    """Return a badge as HTML. The symbol is never alone on a line."""
    return format_html(
        '<span class="im-badge im-{}"><span aria-hidden="true">{}</span>\N{NO-BREAK SPACE}'
        "{}</span>",
        badge.tone,
        badge.symbol,
        badge.label,
    )


def keep_spaces(html: str) -> SafeString:
    """Return HTML whose spaces between tags survive the `{% spaceless %}` of a theme."""
    return SafeString(_SPACES.sub(">&#32;<", html))


def kind_of(operation: ImportOperation) -> str:
    """Return the type of an operation, or what else it is called by."""
    return operation.type or operation.importer_key or operation.remote_id


def operation_name(operation: ImportOperation) -> SafeString:
    """Return the type of an operation and the name of its file."""
    kind = kind_of(operation)
    file_name = operation.file_name
    if not file_name:
        return format_html("<bdi>{}</bdi>", kind)
    return format_html(
        '<bdi>{}</bdi>&#32;<span class="im-file"><bdi>{}</bdi></span>', kind, file_name
    )


def state_badge(state: str) -> Badge:
    """Return the badge of a stored state, whatever is stored."""
    try:
        return STATES[ImportState(state)]
    except (ValueError, KeyError):
        return STATES[ImportState.UNKNOWN]


def sync_status_badge(status: str) -> Badge:
    """Return the badge of the result of polls, "" before the first."""
    if not status:
        return NEVER_SYNCED
    symbol, tone = ("✓", "good") if status in GOOD_STATUSES else ("✕", "bad")
    return Badge(sync_status_label(status), symbol, tone)


def progress(operation: ImportOperation) -> SafeString:
    """Return the counters, with a bar where they give a percentage."""
    completed, total = operation.count_completed, operation.count_total
    if completed is None and total is None:
        return format_html('<span class="im-quiet">{}</span>', EMPTY)
    if completed is None:
        counts = _("%(total)s in total") % {"total": format_count(total)}
    elif operation.present_outcome == Outcome.INCOMPLETE:
        counts = _("at least %(completed)s of %(total)s") % {
            "completed": format_count(_least_completed(operation, completed)),
            "total": format_count(total),
        }
    else:
        counts = _("%(completed)s of %(total)s") % {
            "completed": format_count(operation.shown_completed),
            "total": format_count(total),
        }
    percent = operation.percent
    bar = errors = SafeString("")
    if percent is not None:
        bar = format_html(
            '<progress class="im-progress" max="100" value="{}" aria-label="{}"></progress> '
            '<strong dir="ltr">{} %</strong> ',
            percent,
            _("Progress"),
            percent,
        )
    if operation.count_error:
        message = ngettext("%(count)s error", "%(count)s errors", operation.count_error)
        errors = format_html(
            ' <span class="im-errors"><bdi>{}</bdi></span>',
            message % {"count": format_count(operation.count_error)},
        )
    return format_html(
        '<span class="im-counts">{}<span class="im-quiet"><bdi>{}</bdi></span>{}</span>',
        bar,
        counts,
        errors,
    )


def _least_completed(operation: ImportOperation, completed: int) -> int:
    """Return how many different records were imported at least: users can be counted twice."""
    if operation.users_twice is False or completed <= 0:
        return completed
    users = min(max(operation.count_users or 0, 0), completed // 2)
    return completed - users


def counters(operation: ImportOperation) -> dict[str, str]:
    """Return the counters that Rocket.Chat sent and the progress does not show, by label."""
    counts = {
        _("Users"): operation.count_users,
        _("Channels"): operation.count_channels,
        _("Messages"): operation.count_messages,
        _("Contacts"): operation.count_contacts,
    }
    return {label: format_count(count) for label, count in counts.items() if count is not None}


def format_count(value: int | None) -> str:
    """Return a counter with separators, or a dash for one that Rocket.Chat did not send."""
    return EMPTY if value is None else humanize.format_number(value)


def format_duration(duration: timedelta) -> SafeString:
    """Return a duration as people write it, exact to the second on hover."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    exact = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    text = humanize.format_duration(duration)
    return format_html('<bdi title="{}">{}</bdi>', exact, text)


def pretty_json(payload: Any) -> SafeString:
    """Return JSON on indented lines."""
    text = json.dumps(payload, ensure_ascii=False, indent=2)
    return format_html(
        '<pre class="im-payload" id="im-payload" tabindex="0" dir="ltr">{}</pre>', text
    )


def rate_line(operation: ImportOperation, *, with_range: bool = True) -> str:
    """Return the rate and the time left of an operation, or for how long it has stalled."""
    now = timezone.now()
    if operation.stalled_since:
        return _("No progress for %(time)s") % {
            "time": humanize.format_duration(now - operation.stalled_since)
        }
    if not operation.is_active:
        return ""
    parts = []
    if operation.rate is not None:
        per_minute = operation.rate * 60
        rate = humanize.format_number(per_minute, digits=0 if per_minute >= 10 else 1)
        parts.append(_("%(rate)s per minute") % {"rate": rate})
    left = operation.time_left(now)
    if left is not None:
        is_waiting = operation.status in RESTING_STEPS
        if not with_range:
            left = TimeLeft(left.expected, left.expected, left.expected)
        parts.append(format_time_left(left, is_waiting=is_waiting))
    return ", ".join(parts)


def format_time_left(left: TimeLeft, *, is_waiting: bool) -> str:
    """Return a forecast with its range, if that differs at the precision of the text."""
    time, low, high = map(humanize.format_duration, left)
    if low == high:
        text = _("expected to take about %(time)s") if is_waiting else _("about %(time)s left")
        return text % {"time": time}
    text = (
        _("expected to take about %(time)s (%(low)s to %(high)s)")
        if is_waiting
        else _("about %(time)s left (%(low)s to %(high)s)")
    )
    return text % {"time": time, "low": low, "high": high}
