"""The display of a watch: bars that move on a terminal, lines everywhere else."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.core.management.base import OutputWrapper
from django.utils import timezone

from importmonitor import humanize
from importmonitor.management.arguments import printable
from importmonitor.management.output import ResultWriter, json_line
from importmonitor.sync.poll import PollFailure, SyncResult

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Tell = Callable[[SyncResult | PollFailure], SyncResult | None]


@contextmanager
def display(writer: ResultWriter, aliases: Sequence[str]) -> Iterator[Tell]:
    """Return what tells a watch's outcomes; `aliases` are the workspaces, in their order.

    Bars want a terminal and the extra `progress`. Lines are only written when something has
    changed; those of JSON, which programs read, each time.
    """
    if writer.describe is json_line:
        yield writer.write
        return
    writer.changes_only = True
    if writer.quiet or not writer.stdout.isatty():
        yield writer.write
        return
    try:
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        yield writer.write
        return
    columns = (
        TextColumn("[bold]{task.fields[workspace]}", markup=True),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counted]}", markup=False),
        TextColumn("{task.fields[pace]}", markup=False),
    )
    with Progress(*columns, expand=True) as progress:
        # Rich has taken over stdout and stderr: what is written there comes out above the bars.
        above = ResultWriter(
            OutputWrapper(sys.stdout), OutputWrapper(sys.stderr), writer.describe, quiet=False
        )
        above.changes_only = True
        yield _Bars(progress, above, aliases).tell


class _Bars:
    """One bar a workspace; what is wrong goes above them, as writer."""

    def __init__(self, progress: "Progress", writer: ResultWriter, aliases: Sequence[str]) -> None:
        self.progress = progress
        self.writer = writer
        self.tasks: dict[str, TaskID] = {alias: self._add(alias) for alias in aliases}

    def _add(self, alias: str) -> "TaskID":
        return self.progress.add_task("…", total=None, workspace=alias, counted="", pace="")

    def tell(self, outcome: SyncResult | PollFailure) -> SyncResult | None:
        result = outcome if isinstance(outcome, SyncResult) else None
        if result is None or not result.ok or result.notice:
            self.writer.write(outcome)
        if result is None or result.skipped is not None:
            return result
        if result.workspace not in self.tasks:
            self.tasks[result.workspace] = self._add(result.workspace)
        self._show(self.tasks[result.workspace], result)
        return result

    def _show(self, task: "TaskID", result: SyncResult) -> None:
        operation = result.operation
        if result.error is not None:
            self.progress.update(task, description=result.error.kind, pace="")
            return
        if operation is None:
            self.progress.update(task, description="nothing was ever imported", total=1)
            return
        outcome = operation.present_outcome
        stands = outcome.label if outcome else operation.status or operation.state
        if operation.is_stalled:
            stands = f"{stands}, stalled"
        name = operation.type or operation.importer_key
        percent = operation.percent
        counted = f"{operation.count_completed or 0:,} / {operation.count_total or 0:,}"
        if percent is not None:
            counted += f", {percent} %"
        if operation.count_error:
            counted += f", {operation.count_error:,} errors"
        left = operation.time_left(timezone.now())
        pace = f"{operation.rate:,.1f}/s" if operation.rate else ""
        if left is not None:
            pace += f", {humanize.format_duration(left)} left"
        self.progress.update(
            task,
            description=printable(f"{name}: {stands}"),
            total=100,
            completed=percent or 0,
            counted=counted if operation.count_total else "",
            pace=pace,
        )
