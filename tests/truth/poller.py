"""The polls of a scenario's workspace, and how they go wrong."""

import heapq
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.states import ACTIVE_STATES
from tests.truth.client import Client
from tests.truth.conf import DEADLINE
from tests.truth.observations import Observation
from tests.truth.scenario import DAY, Scenario

if TYPE_CHECKING:
    # Importable only after Django's setup; see `__main__`.
    from importmonitor.sync.poll import SyncResult


class Poller(Scenario):
    """A scenario whose workspace is polled; the seed determines all of it."""

    def __init__(self, name: str, seed: str, imports: int) -> None:
        super().__init__(name, seed, imports)
        self.configured = WorkspaceConfig(
            name, "http://127.0.0.1:9", "user", "token", deadline=DEADLINE
        )
        #: The ends that have moved: by id, from when to when.
        self.moved: list[tuple[str, datetime, datetime | None]] = []
        #: Where 100 % was shown before an end.
        self.premature: list[str] = []
        self.overlaps: list[str] = []
        self._active = False
        self._finished_at: dict[str, datetime | None] = {}

    def run(self) -> None:
        """Run the scenario to its end, and poll meanwhile."""
        before = self.rng.choice((0, 0, 1, 5, 30))
        self.schedule(self.rng.uniform(0, 3600), self.start)
        if before:
            while self.started < min(before, self.imports // 4):
                self.advance(60)
        self.poll()
        self.unseen.clear()
        self.schedule(self.log_uniform(3600, 5 * DAY), self.restart_occasionally)
        self.schedule(self.log_uniform(3600, 4 * DAY), self.start_outage)
        self.schedule(self.log_uniform(3600, 4 * DAY), self.step_clock_occasionally)
        self.schedule(self.log_uniform(3600, 4 * DAY), self.make_backup)
        while self.agenda:
            self.advance(self._pause(), to_the_end=False)
            if self.must_poll:
                # More than twenty between two polls cannot all be known.
                self.must_poll = False
                self.did["polls forced by many imports"] += 1
                self.poll()
            else:
                self._poll_in_some_way()
        self._settle()

    def _settle(self) -> None:
        """Poll until nothing more can be shown, not by the daily list either."""
        for pause in (*[400] * 12, DAY, 400, DAY, 400):
            self.advance(pause)
            self.poll()

    def _pause(self) -> float:
        if self.paused_until > self.clock.now():
            return (self.paused_until - self.clock.now()).total_seconds()
        if self.workspace.outage:
            return self.log_uniform(30, 3600)
        if self._active:
            return self.cadence * self.rng.uniform(0.7, 1.3)
        return self.log_uniform(60, DAY / 3)

    def _poll_in_some_way(self) -> None:
        ways: dict[Callable[[], object], float] = {
            self.poll: 72,
            self._slow: 8,
            self._list_cut_off: 4,
            self._refused: 2,
            self._overtaken: 2,
            self._overtaken_in_the_list: 1,
            self._overslept: 1,
        }
        if self.unseen:
            # The list will be requested: make that fail more often.
            ways |= {
                self._slow: 20,
                self._list_cut_off: 12,
                self._overtaken_in_the_list: 8,
            }
        self.rng.choices(list(ways), list(ways.values()))[0]()

    def poll(self, client: Client | None = None) -> "SyncResult":
        """Poll once, and record what was observed."""
        from importmonitor.sync.poll import deliver_alerts, sync_workspace
        from importmonitor.sync.reminders import review_and_deliver

        client = client or Client(self)
        began = self.clock.now()
        result = sync_workspace(self.configured, client=cast("Any", client), now=self.clock.now)
        self.did["polls"] += 1
        if result.skipped is not None:
            self.did[f"polls skipped: {result.skipped.partition(' 2')[0]}"] += 1
            return result
        # As the command does; a test's transaction has no commit after which a poll would deliver.
        review_and_deliver(self.clock.now)
        deliver_alerts(self.clock.now)
        good = result.error is None
        self.observations.append(
            Observation(
                began,
                self.clock.now(),
                good,
                client.shown if good else {},
                client.current_id,
                client.list_failed,
            )
        )
        self.did["polls that failed"] += not good
        if good:
            current = result.operation
            self._active = current is not None and current.state in ACTIVE_STATES
            if current is not None and current.is_active and current.percent == 100:
                self.premature.append(f"{self.name} {current.remote_id} {self.clock.now()}")
            self.did["polls of an active import"] += self._active
            self.unseen -= client.shown.keys()
            self.ends_shown |= client.ended
            self._check_finished_at(result)
        return result

    def _check_finished_at(self, result: "SyncResult") -> None:
        from importmonitor.models import ImportOperation

        if not result.changes:
            return
        keys = [change.operation.pk for change in result.changes]
        rows = ImportOperation.objects.filter(pk__in=keys)
        self.record_finished_at(dict(rows.values_list("remote_id", "finished_at")))

    def record_finished_at(self, finished_at: Mapping[str, datetime | None]) -> None:
        """Record the ends of imports, and where one has changed."""
        for remote_id, at in finished_at.items():
            before = self._finished_at.get(remote_id)
            if before is not None and at != before:
                self.moved.append((remote_id, before, at))
            self._finished_at[remote_id] = at

    def _some_seconds(self) -> None:
        self.advance(self.log_uniform(0.01, 25))

    def _pass_time(self) -> None:
        """Let some seconds pass, and often run the next scheduled action in them."""
        if self.agenda and self.rng.random() < 0.3:
            _, _, action = heapq.heappop(self.agenda)
            action()
        self._some_seconds()

    def _slow(self) -> None:
        """The responses take time, in which things happen."""
        self.did["slow polls"] += 1
        self.poll(Client(self, self._pass_time, self._pass_time, self._pass_time))

    def _list_cut_off(self) -> None:
        """The first response arrives, the second does not."""
        self.did["lists cut off"] += 1
        self.poll(Client(self, list_fails=True))

    def _refused(self) -> None:
        """Another poller tries while this one polls."""

        def meanwhile() -> None:
            self._some_seconds()
            if self.poll().skipped != "leased":
                self.overlaps.append(f"{self.name} {self.clock.now()}: two polled at once")

        self.poll(Client(self, during_current=meanwhile))

    def _overtaken(self) -> None:
        """The poll is so slow that another poller's lease starts and ends meanwhile."""
        cut_off = self.rng.random() < 0.3
        self._overtake(lambda callback: Client(self, during_current=callback, cut_off=cut_off))

    def _overtaken_in_the_list(self) -> None:
        self._overtake(lambda callback: Client(self, during_list=callback))

    def _overtake(self, client: Callable[[Callable[[], None]], Client]) -> None:
        before: list[Any] = []

        def meanwhile() -> None:
            self.advance(DEADLINE + 5 + self.log_uniform(0.001, 300))
            if self.poll().skipped == "leased":
                self.overlaps.append(f"{self.name} {self.clock.now()}: the lease did not expire")
            before.extend(self.stored_rows())

        result = self.poll(client(meanwhile))
        if not before:
            # The list was not requested, and so the poll was not slow.
            return
        self.did["polls overtaken"] += 1
        if result.skipped is None or self.stored_rows() != before:
            self.overlaps.append(f"{self.name} {self.clock.now()}: a poll without its lease wrote")

    def _overslept(self) -> None:
        """The poll outlasts its lease, and no other poller tries."""
        self.did["polls that outlasted their lease"] += 1
        self.poll(
            Client(
                self, during_current=partial(self.advance, DEADLINE + 5 + self.log_uniform(1, 60))
            )
        )

    def stored_rows(self) -> list[Any]:
        """Return everything that is stored of this workspace."""
        from importmonitor.models import Alert, ImportOperation, StatusTransition, SyncPeriod

        mine = {"workspace": self.name}
        return [
            list(ImportOperation.objects.filter(**mine).order_by("pk").values()),
            list(StatusTransition.objects.filter(operation__workspace=self.name).values("pk")),
            list(Alert.objects.filter(**mine).order_by("pk").values("pk", "attempts")),
            list(SyncPeriod.objects.filter(**mine).order_by("pk").values()),
        ]
