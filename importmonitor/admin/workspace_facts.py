"""What is known of a workspace's polls and of its Rocket.Chat, in words."""

from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from importmonitor import humanize
from importmonitor.admin import clock, display, times
from importmonitor.models import Workspace

_MISSING = "PermissionMissing"


def open_period(workspace: Workspace) -> SafeString:
    """Return since when polls have had the same result, and how many they were."""
    period_start, last = workspace.period_started_at, workspace.last_polled_at
    if period_start is None or last is None:
        return SafeString(display.EMPTY)
    # A pause in polling ends a period, but not a failure.
    since = workspace.failing_since or period_start
    text = format_html("{} · {}", times.format_time(since), display.format_duration(last - since))
    if since != period_start:
        return text
    polls = ngettext("%(count)s poll", "%(count)s polls", workspace.period_polls)
    count = {"count": humanize.format_number(workspace.period_polls)}
    return format_html("{} · {}", text, polls % count)


def next_poll(workspace: Workspace, now: datetime) -> SafeString:
    """Return when the next poll is expected: after the usual pause, or when it is allowed."""
    until, last, pause = workspace.not_before, workspace.last_polled_at, workspace.usual_pause
    if until is not None and until > now:
        text = _("Rate limited until {time}")
        return format_html(text, time=times.format_time(until))
    if last is None or pause is None:
        return SafeString(display.EMPTY)
    usual = _("about every %(time)s") % {"time": humanize.format_duration(pause)}
    # A last poll that is still to come was written by a clock that was ahead.
    left = min(last + pause - now, pause)
    if workspace.is_late(now) and workspace.has_gap(now):
        question = _("Is sync_import_status running?")
        return format_html(
            '<span class="im-remark im-warn">{} · {}</span> · {}', _("Overdue"), question, usual
        )
    if left < timedelta(seconds=1):
        return format_html("{} · {}", _("now"), usual)
    time = _("in %(time)s") % {"time": humanize.format_duration(left)}
    return format_html("{} · {}", time, usual)


def response_time(workspace: Workspace) -> str:
    """Return how long Rocket.Chat took for the last response that was good."""
    time = workspace.response_time
    if time is None:
        return _("Not measured")
    if time >= timedelta(seconds=10):
        return humanize.format_duration(time)
    milliseconds = max(1, round(time / timedelta(milliseconds=1)))
    return _("%(count)s ms") % {"count": humanize.format_number(milliseconds)}


def rate_budget(workspace: Workspace, now: datetime) -> SafeString:
    """Return how many requests Rocket.Chat allows, and how many were left at the last poll."""
    limit, left, resets_at = (
        workspace.rate_limit,
        workspace.rate_remaining,
        workspace.rate_resets_at,
    )
    if limit is None or left is None or resets_at is None:
        if workspace.last_synced_at is None:
            return SafeString(display.EMPTY)
        return format_html("{}", _("No rate limit"))
    text = ngettext(
        "%(left)s of %(limit)s request per minute left at the last poll",
        "%(left)s of %(limit)s requests per minute left at the last poll",
        limit,
    )
    counts = text % {
        "left": humanize.format_number(left),
        "limit": humanize.format_number(limit),
    }
    if resets_at <= now:
        return format_html("<bdi>{}</bdi>", counts)
    resets = _("resets in %(time)s") % {"time": humanize.format_duration(resets_at - now)}
    return format_html("<bdi>{}</bdi> · {}", counts, resets)


def permissions(workspace: Workspace) -> SafeString:
    """Return whether the last polls could use each permission of Rocket.Chat that they need."""
    can_run: bool | None = None if workspace.last_synced_at is None else True
    if workspace.sync_status == _MISSING:
        can_run = False
    can_list: bool | None = None
    if workspace.list_refused:
        can_list = False
    elif workspace.list_due_at is not None:
        can_list = True
    labels = {True: _("granted"), False: _("missing"), None: _("not checked")}
    tones = {True: "good", False: "bad", None: "quiet"}
    symbols = {True: "✓", False: "✕", None: "○"}
    lines = [
        (name, tones[state], symbols[state], labels[state])
        for name, state in (("run-import", can_run), ("view-import-operations", can_list))
    ]
    return format_html(
        '<ul class="im-plain">{}</ul>{}',
        format_html_join(
            "",
            '<li><code dir="ltr">{}</code>&#32;<span class="im-remark im-{}">'
            '<span aria-hidden="true">{}</span>\N{NO-BREAK SPACE}{}</span></li>',
            lines,
        ),
        _refusal(workspace),
    )


def _refusal(workspace: Workspace) -> SafeString:
    """Return why the list of operations is refused, and what that means; "" if it is not."""
    if not workspace.list_refused:
        return SafeString("")
    return format_html(
        "<p>{}</p><p>{}</p>",
        workspace.list_refused,
        _(
            "As long as the list of operations is refused, imports that start and end between two "
            "polls are missed, and the end of an import that runs on behind a newer one cannot be "
            "seen."
        ),
    )


def clock_difference(workspace: Workspace) -> SafeString:
    """Return how Rocket.Chat's clock differs from ours, and what that means."""
    text = clock.notable_line(workspace)
    if not text:
        return format_html("{}", clock.line(workspace))
    remark = _(
        "Times and durations on these pages are corrected, but those in Rocket.Chat's log and "
        "in raw documents are by its clock."
    )
    return format_html('<span class="im-remark im-wait">{}</span> {}', text, remark)


def watched_time(workspace: Workspace) -> SafeString:
    """Return for how long the workspace could be polled since the first sync."""
    if workspace.first_synced_at is None:
        return SafeString(display.EMPTY)
    return format_html(
        _("{duration} since the first sync, {time}"),
        duration=display.format_duration(workspace.watched),
        time=times.format_time(workspace.first_synced_at),
    )
