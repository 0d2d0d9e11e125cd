"""`make demo`: three months of history, an import under way, the admin and the API to watch it.

Everything is made anew at each start, under `.local/`, and listens on loopback only.
"""

import os
import random
import secrets
import shutil
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import django

from project.serving import LOCAL, free_port, stop_on_signals, sync_until, web_server
from simulator.clock import Clock
from simulator.kinds import FINISHED
from simulator.server import Server
from simulator.story import Step, story
from simulator.workspace import Workspace

FOLDER = LOCAL / "demo"
LOGIN = "demo"
DAYS = 90
#: How often the demo looks, in its past while nothing happens; how long its imports take (seconds).
LOOK_EVERY = 2.0
IDLE = timedelta(hours=2)
IMPORT_TAKES = 420.0
UNDER_WAY_FOR = timedelta(seconds=200)
#: How long before the end each begins, and how long it lasts.
OUTAGES = (
    (timedelta(days=5, hours=3), timedelta(hours=2)),
    (timedelta(days=2, hours=7), timedelta(hours=7)),
)


def main() -> int:
    """Run the demo until Ctrl-C or SIGTERM; return the exit status."""
    stop = stop_on_signals()
    now = datetime.now(UTC)
    clock = Clock(now - timedelta(days=DAYS))
    # Without a limit of calls: three months are looked at within seconds.
    workspace = Workspace(clock, seed=7, rate_limit=None)
    user_id, token = "simulatedUser0001", secrets.token_urlsafe(32)
    workspace.add_user(user_id, token)
    with Server(workspace) as simulator:
        prepare_environment(simulator.url, user_id, token)
        django.setup()
        say("Making a database …")
        api_user_id, api_token = prepare_database()
        say(f"Living through {DAYS} days of imports …")
        live_through(workspace, clock, datetime.now(UTC) - UNDER_WAY_FOR, stop)
        if stop.is_set():
            return 0
        begin_an_import(workspace, clock)
        port = free_port(8000)
        with web_server(port, FOLDER / "server.log") as server:
            announce(port, simulator.url, api_user_id, api_token)
            rng = random.Random(7)
            sync_until(
                stop,
                server,
                interval=LOOK_EVERY,
                each_turn=lambda: keep_importing(workspace, rng),
            )
    say("\nThe demo has ended; nothing of it runs any more.")
    return 0


def prepare_environment(url: str, user_id: str, token: str) -> None:
    """Set what the settings read, so that nothing of the caller's own leaks into the demo."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in list(os.environ):
        if name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_")):
            del os.environ[name]
    os.environ.update(
        DJANGO_SETTINGS_MODULE="project.settings",
        ENV_FILE=os.devnull,
        SECRET_KEY=secrets.token_urlsafe(50),
        DEBUG="off",
        SECURE_SSL_REDIRECT="off",
        ALLOWED_HOSTS="127.0.0.1,localhost",
        DATABASE_URL=f"sqlite:///{FOLDER / 'db.sqlite3'}",
        ROCKETCHAT_URL=url,
        ROCKETCHAT_USER_ID=user_id,
        ROCKETCHAT_AUTH_TOKEN=token,
    )


def prepare_database() -> tuple[str, str]:
    """Migrate, make the superuser, and return the user id and an API token for curl."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from importmonitor.models import ApiToken

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser(LOGIN, "", LOGIN)
    _token, text = ApiToken.objects.issue(user, name="demo")
    return str(user.pk), text


def live_through(workspace: Workspace, clock: Clock, end: datetime, stop: threading.Event) -> None:
    """Let the story happen, and look at it as a cron job would have, by its own clock."""
    from importmonitor import conf
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.poll import sync_workspace

    steps = story(seed=7, start=clock.now(), end=end - timedelta(hours=1)) + outages(end)
    steps.sort(key=lambda step: step.at)
    asked = conf.workspace("default")
    # While nothing answers there is no use in trying again: a demo is not to begin with waiting.
    with Client(asked) as client, Client(replace(asked, deadline=0.3)) as hasty:
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            clock.set(step.at)
            step.action(workspace)
            until = following.at if following else end
            pause = timedelta(seconds=30)
            while not stop.is_set():
                away = workspace.outage is not None
                result = sync_workspace("default", client=hasty if away else client, now=clock.now)
                pause = min(pause * 3, timedelta(minutes=9 if away else 30))
                if result.operation is None or result.operation.finished_at is not None:
                    # Seldom, and yet so that no time is a gap: nobody waits for idle months.
                    pause = pause if away else IDLE
                if clock.now() + pause >= until:
                    break
                clock.set(clock.now() + pause)


def outages(end: datetime) -> list[Step]:
    """Let the proxy before the workspace fail twice in the last days, for sync health to show."""

    def answer(status: int | None, workspace: Workspace) -> None:
        workspace.outage = status

    steps = []
    for before, lasting in OUTAGES:
        begins = end - before
        # Looked at until then, or nobody could tell when it began.
        steps.append(Step(begins - timedelta(minutes=5), partial(answer, None), "all is well"))
        steps.append(Step(begins, partial(answer, 502), "the proxy's backend is away"))
        steps.append(Step(begins + lasting, partial(answer, None), "it is back"))
    return steps


def begin_an_import(workspace: Workspace, clock: Clock) -> None:
    """Let an import have begun some minutes ago, so that there is something to see at once."""
    from importmonitor.sync.poll import sync_workspace

    clock.set(datetime.now(UTC) - UNDER_WAY_FOR)
    workspace.start_import(
        "slack", "done-with-errors", IMPORT_TAKES, records=9_000, file_name="acme-export.zip"
    )
    while (left := (datetime.now(UTC) - clock.now()).total_seconds()) > LOOK_EVERY:
        sync_workspace("default", now=clock.now)
        clock.advance(min(left, 5 * LOOK_EVERY))
    clock.set(datetime.now(UTC))
    clock.speed = 1.0


def keep_importing(workspace: Workspace, rng: random.Random) -> None:
    """Start another import half a minute after one has ended, so that there is always one."""
    operation = workspace.current()
    if operation is None or operation["status"] not in FINISHED:
        return
    ended = datetime.fromisoformat(operation["_updatedAt"])
    if workspace.clock.now() - ended > timedelta(seconds=30):
        kind = rng.choice(("csv", "slack", "pending-files", "hipchat-enterprise"))
        workspace.start_import(
            kind, rng.choice(("done", "done-short", "failed")), IMPORT_TAKES, records=9_000
        )


def announce(port: int, simulator_url: str, user_id: str, token: str) -> None:
    """Say where to click and how to stop."""
    base = f"http://127.0.0.1:{port}"
    say(f"""
────────────────────────────────────────────────────────────────────────────
  importmonitor is watching a simulated Rocket.Chat; an import is under way.

  Watch it:      {base}/admin/importmonitor/importoperation/
  Log in as:     {LOGIN}, password {LOGIN}

  The endpoint, as a Rocket.Chat client asks it:
    curl -H 'X-User-Id: {user_id}' \\
         -H 'X-Auth-Token: {token}' \\
         {base}/api/v1/getCurrentImportOperation

  Try the API:   {base}/api/docs/

  The simulated workspace itself: {simulator_url}
  Stop all of it with Ctrl-C.
────────────────────────────────────────────────────────────────────────────
""")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
