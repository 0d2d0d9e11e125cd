"""The life of a workspace: who looks when, and how that goes wrong."""

import heapq
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.states import ACTIVE_STATES
from tests.truth.client import Client
from tests.truth.conf import DEADLINE
from tests.truth.happenings import DAY, MOST_UNSEEN, Happenings
from tests.truth.looks import Observation, View

if TYPE_CHECKING:
    # It can be had only when Django is set up; see `__main__`.
    from importmonitor.sync.poll import SyncResult


class Life(Happenings):
    """A workspace: what is done to it, and who looks when; all of it drawn from a seed."""

    def __init__(self, name: str, seed: str, imports: int) -> None:
        super().__init__(name, seed, imports)
        self.configured = WorkspaceConfig(
            name, "http://127.0.0.1:9", "nobody", "nothing", deadline=DEADLINE
        )
        self.moved: list[str] = []
        self.out_of_turn: list[str] = []
        self._active = False
        self._past: list[View] = []
        self._finished_at: dict[str, datetime | None] = {}

    def live(self) -> None:
        """Live through all imports."""
        before = self.rng.choice((0, 0, 1, 5, 30))
        self.later(self.rng.uniform(0, 3600), self.start)
        if before:
            while self.started < min(before, self.imports // 4):
                self.advance(60)
        self.poll()
        self.unseen.clear()
        self.later(self.between(3600, 5 * DAY), self.restart_now_and_then)
        self.later(self.between(3600, 4 * DAY), self.fall_out)
        while self.agenda:
            self.advance(self._pause(), to_the_end=False)
            if self.must_look:
                # Fewer than twenty between two looks is all that is asked for.
                self.must_look = False
                self.did["gaps full of imports"] += 1
                self.poll()
            else:
                self._poll_somehow()
        self._settle()

    def _settle(self) -> None:
        """Poll until there is nothing more to be seen, the list included, asked for once a day."""
        for pause in (*[400] * 12, DAY, 400, DAY, 400):
            self.advance(pause)
            self.poll()

    def _pause(self) -> float:
        if self.away_until > self.clock.now():
            return (self.away_until - self.clock.now()).total_seconds()
        if self.workspace.outage:
            return self.between(30, 3600)
        if self._active:
            return self.cadence * self.rng.uniform(0.7, 1.3)
        return self.between(60, DAY / 3)

    def _poll_somehow(self) -> None:
        ways: dict[Callable[[], object], float] = {
            self.poll: 72,
            self._slow: 8,
            self._list_cut_off: 4,
            self._late: 8,
            self._late_list: 2,
            self._refused: 2,
            self._overtaken: 2,
            self._overtaken_in_the_list: 1,
            self._overslept: 1,
        }
        if self.unseen:
            # The list will be asked for: let that go wrong more often than chance would have it.
            ways |= {
                self._slow: 20,
                self._list_cut_off: 12,
                self._late_list: 8,
                self._overtaken_in_the_list: 8,
            }
        if self.rng.random() < 0.1:
            self._past = [*self._past[-5:], self.now()]
        self.rng.choices(list(ways), list(ways.values()))[0]()

    def now(self) -> View:
        """Return what there is to be seen at this moment."""
        workspace = self.workspace
        return View(len(workspace.log), workspace.current(), workspace.latest())

    def poll(self, client: Client | None = None) -> "SyncResult":
        """Observation once."""
        from importmonitor.sync.poll import sync_workspace

        client = client or Client(self)
        began = self.clock.now()
        result = sync_workspace(self.configured, client=cast("Any", client), now=self.clock.now)
        self.did["polls"] += 1
        if result.skipped is not None:
            self.did[f"polls skipped: {result.skipped.partition(' 2')[0]}"] += 1
            return result
        good = result.error is None
        self.looks.append(Observation(began, self.clock.now(), good, client.shown if good else {}))
        self.did["looks that failed"] += not good
        if good:
            current = result.operation
            self._active = current is not None and current.state in ACTIVE_STATES
            self.did["looks at one that is going"] += self._active
            self.unseen -= client.shown.keys()
            self.ends_seen |= client.ended
            self._watch_finished_at(result)
        return result

    def _watch_finished_at(self, result: "SyncResult") -> None:
        from importmonitor.models import ImportOperation

        if not result.changes:
            return
        keys = [change.operation.pk for change in result.changes]
        rows = ImportOperation.objects.filter(pk__in=keys)
        self.keep(dict(rows.values_list("remote_id", "finished_at")))

    def keep(self, finished_at: Mapping[str, datetime | None]) -> None:
        """Note where `finished_at` is another than it was."""
        for remote_id, at in finished_at.items():
            before = self._finished_at.get(remote_id)
            if before is not None and at != before:
                self.moved.append(f"{self.name} {remote_id}: {before} to {at}")
            self._finished_at[remote_id] = at

    def _some_seconds(self) -> None:
        self.advance(self.between(0.01, 25))

    def _meanwhile(self) -> None:
        """Let some seconds pass, and often what is planned next happen in them, not later."""
        if self.agenda and self.rng.random() < 0.3:
            _, _, action = heapq.heappop(self.agenda)
            action()
        self._some_seconds()

    def _slow(self) -> None:
        """The answers take their time, and meanwhile things happen."""
        self.did["slow"] += 1
        self.poll(Client(self, self._meanwhile, self._meanwhile, self._meanwhile))

    def _list_cut_off(self) -> None:
        """The first answer comes, the second does not."""
        self.did["list cut off"] += 1
        self.poll(Client(self, list_fails=True))

    def _late(self) -> None:
        """Both answers are from the past, perhaps from before those that came before."""
        if self._past and (view := self.rng.choice(self._past)).current:
            self.did["late or repeated"] += 1
            self.poll(Client(self, view=view))

    def _late_list(self) -> None:
        """The list is from the past: not from before the current one was known, or it is lost."""
        if self._past and len(self.unseen) < MOST_UNSEEN // 2:
            self.did["late list"] += 1
            self.poll(Client(self, late_list=self._past[-1]))

    def _refused(self) -> None:
        """Somebody else comes along while one looks."""

        def meanwhile() -> None:
            self._some_seconds()
            if self.poll().skipped != "leased":
                self.out_of_turn.append(f"{self.name} {self.clock.now()}: two looked at once")

        self.poll(Client(self, within=meanwhile))

    def _overtaken(self) -> None:
        """One is so slow that somebody else's turn comes and goes."""
        cut_off = self.rng.random() < 0.3
        self._overtake(lambda happen: Client(self, within=happen, cut_off=cut_off))

    def _overtaken_in_the_list(self) -> None:
        self._overtake(lambda happen: Client(self, within_list=happen))

    def _overtake(self, client: Callable[[Callable[[], None]], Client]) -> None:
        left: list[Any] = []

        def meanwhile() -> None:
            self.advance(DEADLINE + 5 + self.between(0.001, 300))
            if self.poll().skipped == "leased":
                self.out_of_turn.append(f"{self.name} {self.clock.now()}: the lease did not end")
            left.extend(self.everything())

        result = self.poll(client(meanwhile))
        if not left:
            # The list was not asked for, and so nobody was slow.
            return
        self.did["overtaken"] += 1
        if result.skipped is None or self.everything() != left:
            self.out_of_turn.append(f"{self.name} {self.clock.now()}: one overtaken has written")

    def _overslept(self) -> None:
        """One is slower than its lease lasts, and nobody notices."""
        self.did["overslept"] += 1
        self.poll(Client(self, within=partial(self.advance, DEADLINE + 5 + self.between(1, 60))))

    def everything(self) -> list[Any]:
        """Return all that is stored of this workspace."""
        from importmonitor.models import Alert, ImportOperation, StatusTransition, SyncPeriod

        mine = {"workspace": self.name}
        return [
            list(ImportOperation.objects.filter(**mine).order_by("pk").values()),
            list(StatusTransition.objects.filter(operation__workspace=self.name).values("pk")),
            list(Alert.objects.filter(**mine).order_by("pk").values("pk", "attempts")),
            list(SyncPeriod.objects.filter(**mine).order_by("pk").values()),
        ]
