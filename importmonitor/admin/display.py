"""How an operation looks: words with shapes, progress bars, times; never colour alone."""

import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, npgettext_lazy

from importmonitor import humanize
from importmonitor.choices import sync_status_label
from importmonitor.models import ImportOperation, Outcome, SyncPeriod
from importmonitor.rocketchat.states import ImportState

EMPTY = "–"
# Django's own units are in the nominative, which no "ago" of German goes with.
UNITS: dict[str, Any] = {
    "year": npgettext_lazy("how long ago", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("how long ago", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("how long ago", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("how long ago", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("how long ago", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("how long ago", "%(num)d minute", "%(num)d minutes", "num"),
}


class Badge(NamedTuple):
    """A word with a shape; `tone` chooses its colours: busy, wait, good, warn, bad, quiet."""

    word: Any
    shape: str
    tone: str


STATES = {
    ImportState.NEW: Badge(gettext_lazy("new"), "○", "busy"),
    ImportState.LOADING: Badge(gettext_lazy("loading"), "◔", "busy"),
    ImportState.READY: Badge(gettext_lazy("waiting"), "‖", "wait"),
    ImportState.IMPORTING: Badge(gettext_lazy("importing"), "▶", "busy"),
    ImportState.DONE: Badge(gettext_lazy("done"), "✓", "good"),
    ImportState.ERROR: Badge(gettext_lazy("error"), "✕", "bad"),
    ImportState.CANCELED: Badge(gettext_lazy("canceled"), "⊘", "quiet"),
    ImportState.UNKNOWN: Badge(gettext_lazy("unknown step"), "?", "wait"),
}

OUTCOMES = {
    Outcome.DONE: Badge(Outcome.DONE.label, "✓", "good"),
    Outcome.DONE_WITH_ERRORS: Badge(Outcome.DONE_WITH_ERRORS.label, "!", "warn"),
    Outcome.INCOMPLETE: Badge(Outcome.INCOMPLETE.label, "◕", "warn"),
    Outcome.FAILED: Badge(Outcome.FAILED.label, "✕", "bad"),
    Outcome.INTERRUPTED: Badge(Outcome.INTERRUPTED.label, "↯", "bad"),
    Outcome.SUPERSEDED: Badge(Outcome.SUPERSEDED.label, "↷", "quiet"),
    Outcome.CANCELED: Badge(Outcome.CANCELED.label, "⊘", "quiet"),
}

STALLED = Badge(gettext_lazy("stalled"), "■", "bad")


def operation_badge(operation: ImportOperation) -> SafeString:
    """Show the outcome, or the state of an operation that has none or runs once more."""
    outcome = operation.present_outcome
    if outcome:
        found = OUTCOMES[outcome]
    else:
        found = STALLED if operation.is_stalled else state_badge(operation.state)
    return render_badge(found)


def render_badge(found: Badge) -> SafeString:
    """Show a word with its shape."""
    return format_html(
        '<span class="im-badge im-{}"><span aria-hidden="true">{}</span> {}</span>',
        found.tone,
        found.shape,
        found.word,
    )


def operation_name(operation: ImportOperation) -> SafeString:
    """Show what was imported: the type, and the file's own name."""
    kind = operation.type or operation.importer_key or operation.remote_id
    file_name = operation.file_name
    if not file_name:
        return format_html("{}", kind)
    return format_html('{} <span class="im-file">{}</span>', kind, file_name)


def state_badge(state: str) -> Badge:
    """Return the badge of a stored state, whatever is stored."""
    try:
        return STATES[ImportState(state)]
    except (ValueError, KeyError):
        return STATES[ImportState.UNKNOWN]


def sync_status_badge(period: SyncPeriod) -> Badge:
    """Return the badge of a period of polls."""
    shape, tone = ("✓", "good") if period.is_good else ("✕", "bad")
    return Badge(sync_status_label(period.outcome), shape, tone)


def progress(operation: ImportOperation) -> SafeString:
    """Show the counters with a bar, where there is something to show."""
    completed, total = operation.count_completed, operation.count_total
    if completed is None and total is None:
        return format_html('<span class="im-quiet">{}</span>', EMPTY)
    if completed is None:
        counted = _("%(total)s in all") % {"total": format_count(total)}
    else:
        counted = _("%(completed)s of %(total)s") % {
            "completed": format_count(completed),
            "total": format_count(total),
        }
    percent = operation.percent
    bar = errors = SafeString("")
    if percent is not None:
        bar = format_html(
            '<progress class="im-progress" max="100" value="{}" aria-label="{}"></progress> '
            "<strong>{} %</strong> ",
            percent,
            _("Progress"),
            percent,
        )
    if operation.count_error:
        told = ngettext("%(count)s error", "%(count)s errors", operation.count_error)
        errors = format_html(
            ' <span class="im-errors">{}</span>',
            told % {"count": format_count(operation.count_error)},
        )
    return format_html(
        '<span class="im-counts">{}<span class="im-quiet">{}</span>{}</span>', bar, counted, errors
    )


def counters(operation: ImportOperation) -> dict[str, str]:
    """Name the counters that Rocket.Chat gave, less those that the progress shows."""
    counts = {
        _("Users"): operation.count_users,
        _("Channels"): operation.count_channels,
        _("Messages"): operation.count_messages,
        _("Contacts"): operation.count_contacts,
    }
    return {name: format_count(count) for name, count in counts.items() if count is not None}


def format_count(value: int | None) -> str:
    """Write a counter with separators, or what stands for one that Rocket.Chat did not give."""
    return EMPTY if value is None else humanize.format_number(value)


def time_since(moment: datetime | None) -> SafeString:
    """Show how long ago something was, with the exact time on hover."""
    if moment is None:
        return SafeString(EMPTY)
    now = timezone.now()
    if now - moment < timedelta(seconds=2):
        told = _("just now")
    elif now - moment < timedelta(minutes=1):
        told = _("%(time)s ago") % {"time": humanize.format_duration(now - moment)}
    else:
        told = _("%(time)s ago") % {"time": timesince(moment, now, time_strings=UNITS, depth=1)}
    return _time(moment, told)


def format_duration(length: timedelta) -> SafeString:
    """Show a duration as people say it, exact to the second on hover."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    exact = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return format_html('<span title="{}">{}</span>', exact, humanize.format_duration(length))


def format_datetime(moment: datetime | None) -> SafeString:
    """Show a time in the zone of the admin, exact to the second on hover."""
    if moment is None:
        return SafeString(EMPTY)
    return _time(moment, formats.date_format(timezone.localtime(moment), "SHORT_DATETIME_FORMAT"))


def _time(moment: datetime, told: str) -> SafeString:
    local = timezone.localtime(moment)
    exact = f"{formats.date_format(local, 'DATE_FORMAT')} {local:%H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, told)


def pretty_json(payload: Any) -> SafeString:
    """Show JSON as it can be read."""
    text = json.dumps(payload, ensure_ascii=False, indent=2)
    return format_html('<pre class="im-payload" tabindex="0">{}</pre>', text)


def rate_line(operation: ImportOperation) -> str:
    """Say how fast an operation goes and how long it will yet take, or that it has stalled."""
    now = timezone.now()
    if operation.stalled_since:
        return _("no progress for %(time)s") % {
            "time": humanize.format_duration(now - operation.stalled_since)
        }
    if operation.rate is None or not operation.is_active:
        return ""
    rate = operation.rate * 60
    shown = humanize.format_number(rate, digits=0 if rate >= 10 else 1)
    left = operation.time_left(now)
    if left is None:
        return _("%(rate)s a minute") % {"rate": shown}
    told = {"rate": shown, "time": humanize.format_duration(left)}
    return _("%(rate)s a minute, about %(time)s left") % told
