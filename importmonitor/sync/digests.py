"""The digests of a day or a week: what is wrong now, and what there was in the time."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.alerts.drafts import AlertDraft, draft_digest
from importmonitor.charts.availability import Total, good_percent, sum_kinds
from importmonitor.charts.stretches import GAP, GAP_AFTER, GOOD, stretches
from importmonitor.choices import DigestPeriod
from importmonitor.conf.channels import ChannelConfig
from importmonitor.models import Alert, ImportOperation, Incident, SyncPeriod, Workspace
from importmonitor.sync.poll import deliver_alerts
from importmonitor.tenancy import store_alias

#: Of a digest: more are counted only.
MAX_INCIDENTS = 20
MAX_OUTAGES = 10

# Workspaces whose rows are read at once.
_BATCH = 200


@dataclass
class _Figures:
    """What there was in a time, of all workspaces of a digest."""

    started: int = 0
    running: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    handled: int = 0
    errors: int = 0
    good_seconds: float = 0.0
    bad_seconds: float = 0.0
    outages: list[dict[str, Any]] = field(default_factory=list)


def last_period(period: DigestPeriod, now: datetime) -> tuple[datetime, datetime]:
    """Return the last day, or week from Monday on, that is over in the site's time zone."""
    zone = timezone.get_default_timezone()
    end = timezone.localdate(now, zone)
    days = 1
    if period == DigestPeriod.WEEKLY:
        end -= timedelta(days=end.weekday())
        days = 7
    start = end - timedelta(days=days)
    first, last = (datetime.combine(day, time.min, zone) for day in (start, end))
    return first, last


def draft_digests(
    now: datetime, period: DigestPeriod | None = None
) -> Iterator[tuple[ChannelConfig, AlertDraft]]:
    """Yield the digest of each channel that gets one, of the last day or week that is over.

    With `period`, only of the channels that get such a digest. What was written before is not
    drafted again.
    """
    for channel in conf.get_options().channels.values():
        if channel.digest is None or channel.digest != (period or channel.digest):
            continue
        start, end = last_period(channel.digest, now)
        key = f"digest:{channel.name}:{channel.digest}:{start:%Y-%m-%d}"
        if not Alert.objects.filter(key=key, channel=channel.name).exists():
            rows = Workspace.objects.listed().order_by("pk")
            configured = rows.values_list("alias", flat=True)
            aliases = [alias for alias in configured if channel.covers(alias)]
            figures = {"period": channel.digest.value} | _figures(aliases, start, end, now)
            yield channel, draft_digest(key, figures, at=now)


def send_digests(now: Callable[[], datetime] = timezone.now) -> int:
    """Send the digests that are due, each once, and return how many.

    What cannot be delivered now is retried by the next polls.
    """
    alerts = write_digests(now())
    if alerts:
        deliver_alerts(now)
    return len(alerts)


def write_digests(now: datetime, period: DigestPeriod | None = None) -> list[Alert]:
    """Write the digests that are due into the outbox, and return their rows."""
    drafts = [draft for channel, draft in draft_digests(now, period) if _write(channel, draft, now)]
    return list(Alert.objects.filter(key__in=[draft.key for draft in drafts]).order_by("pk"))


def _write(channel: ChannelConfig, draft: AlertDraft, now: datetime) -> int:
    # Unless another process has written it meanwhile: the key is unique.
    with transaction.atomic(using=store_alias()):
        return outbox.write([draft], now, [channel])


def _figures(
    aliases: Sequence[str], start: datetime, end: datetime, now: datetime
) -> dict[str, Any]:
    figures = _Figures()
    for number in range(0, len(aliases), _BATCH):
        batch = aliases[number : number + _BATCH]
        _add_imports(figures, batch, start, end)
        _add_availability(figures, batch, start, end)
    known = set(aliases)
    rows = Incident.objects.open().select_related("operation").defer("operation__payload")
    incidents = [row for row in rows if row.workspace in known]
    worst = sorted(figures.outages, key=lambda outage: -outage["seconds_unreachable"])
    return {
        "from": start.isoformat(),
        "to": end.isoformat(),
        "workspaces": len(aliases),
        "incidents": {
            "open": len(incidents),
            "oldest": [_incident(row, now) for row in incidents[:MAX_INCIDENTS]],
        },
        "imports": {
            "started": figures.started,
            "ended": figures.outcomes.total(),
            "running": figures.running,
            "outcomes": dict(figures.outcomes),
        },
        "records": {"handled": figures.handled, "errors": figures.errors},
        "availability": {
            "percent": _percent(figures.good_seconds, figures.bad_seconds),
            "worst": worst[:MAX_OUTAGES],
        },
    }


def _add_imports(figures: _Figures, aliases: Sequence[str], start: datetime, end: datetime) -> None:
    rows = ImportOperation.objects.filter(workspace__in=aliases).order_by()
    figures.started += rows.filter(started_at__gte=start, started_at__lt=end).count()
    figures.running += rows.filter(finished_at=None).count()
    ended = rows.filter(finished_at__gte=start, finished_at__lt=end).defer("payload")
    for operation in ended.iterator():
        figures.outcomes[operation.outcome] += 1
        figures.handled += max(0, operation.progress.records or operation.count_completed or 0)
        figures.errors += max(0, operation.count_error or 0)


def _add_availability(
    figures: _Figures, aliases: Sequence[str], start: datetime, end: datetime
) -> None:
    periods: dict[str, list[SyncPeriod]] = {alias: [] for alias in aliases}
    for period in Workspace.objects.filter(alias__in=aliases).periods(start, end):
        periods[period.workspace].append(period)
    since, until = start.timestamp(), end.timestamp()
    for alias, rows in periods.items():
        totals = sum_kinds(stretches(rows, since, until, GAP_AFTER), since, until)
        good = sum(total.duration for total in totals if total.kind == GOOD)
        bad = sum(total.duration for total in totals if total.kind not in (GOOD, GAP))
        was_polled = any(total.kind != GAP for total in totals)
        figures.good_seconds += good
        figures.bad_seconds += bad
        if bad or not was_polled:
            figures.outages.append(
                {
                    "workspace": alias,
                    "percent": good_percent(totals) if was_polled else None,
                    "seconds_unreachable": round(bad),
                }
            )


def _percent(good: float, bad: float) -> float | None:
    """Return the share of good time in percent; None without any time."""
    if not good and not bad:
        return None
    totals = [Total(GOOD, good, 1), *([Total("", bad, 1)] if bad else [])]
    return good_percent(totals)


def _incident(incident: Incident, now: datetime) -> dict[str, Any]:
    operation = incident.operation
    return {
        "id": incident.pk,
        "kind": incident.kind,
        "workspace": incident.workspace,
        "since": incident.since.isoformat(),
        "acknowledged": incident.is_acknowledged(now),
        "operation": operation
        and {"id": operation.pk, "type": operation.type, "file": operation.file_name},
    }
