"""`make demo`: three months of history and a running import, in the admin and the API.

Every start creates everything anew, under `.local/`. All servers listen on loopback only.
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
HISTORY_DAYS = 90
#: Seconds between polls in the present.
POLL_INTERVAL = 2.0
#: Between polls in the past while no import is active.
IDLE_INTERVAL = timedelta(hours=2)
#: How long an import takes, and for how long the first one has been running at the start.
IMPORT_SECONDS = 420.0
RUNNING_FOR = timedelta(seconds=200)
#: How long before the present an outage starts, and how long it lasts.
OUTAGES = (
    (timedelta(days=5, hours=3), timedelta(hours=2)),
    (timedelta(days=2, hours=7), timedelta(hours=7)),
)


def main() -> int:
    """Run the demo until Ctrl-C or SIGTERM; return the exit status."""
    stop = stop_on_signals()
    now = datetime.now(UTC)
    clock = Clock(now - timedelta(days=HISTORY_DAYS))
    # Without a rate limit: three months are polled within seconds.
    workspace = Workspace(clock, seed=7, rate_limit=None)
    user_id, token = "simulatedUser0001", secrets.token_urlsafe(32)
    workspace.add_user(user_id, token)
    with Server(workspace) as simulator:
        prepare_environment(simulator.url, user_id, token)
        django.setup()
        say("Creating the database …")
        api_user_id, api_token = prepare_database()
        say(f"Simulating {HISTORY_DAYS} days of imports …")
        simulate_history(workspace, clock, datetime.now(UTC) - RUNNING_FOR, stop)
        if stop.is_set():
            return 0
        start_import(workspace, clock)
        port = free_port(8000)
        with web_server(port, FOLDER / "server.log") as server:
            announce(port, simulator.url, api_user_id, api_token)
            rng = random.Random(7)
            sync_until(
                stop,
                server,
                interval=POLL_INTERVAL,
                before_sync=lambda: restart_import(workspace, rng),
            )
    say("\nThe demo has stopped.")
    return 0


def prepare_environment(url: str, user_id: str, token: str) -> None:
    """Set the variables that the settings read, without any of the caller's own."""
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
        SECURE_COOKIES="off",
        ALLOWED_HOSTS="127.0.0.1,localhost",
        DATABASE_URL=f"sqlite:///{FOLDER / 'db.sqlite3'}",
        ROCKETCHAT_URL=url,
        ROCKETCHAT_USER_ID=user_id,
        ROCKETCHAT_AUTH_TOKEN=token,
    )


def prepare_database() -> tuple[str, str]:
    """Migrate and create a superuser; return the user's id and an API token for curl."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from importmonitor.models import ApiToken

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser(LOGIN, "", LOGIN)
    _token, text = ApiToken.objects.issue(user, name="demo")
    return str(user.pk), text


def simulate_history(
    workspace: Workspace, clock: Clock, end: datetime, stop: threading.Event
) -> None:
    """Run the story and poll it as a cron job would have, by the simulated clock."""
    from importmonitor import conf
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.poll import sync_workspace

    steps = story(seed=7, start=clock.now(), end=end - timedelta(hours=1)) + outages(end)
    steps.sort(key=lambda step: step.at)
    config = conf.get_workspace("default")
    # During an outage, a deadline too short for a second attempt: retries would take ten seconds.
    hasty_config = replace(config, deadline=0.1)
    with Client(config) as client, Client(hasty_config) as hasty_client:
        for step, next_step in zip(steps, [*steps[1:], None], strict=True):
            clock.set(step.at)
            step.action(workspace)
            until = next_step.at if next_step else end
            pause = timedelta(seconds=30)
            while not stop.is_set():
                is_down = workspace.outage is not None
                result = sync_workspace(
                    "default", client=hasty_client if is_down else client, now=clock.now
                )
                pause = min(pause * 3, timedelta(minutes=9 if is_down else 30))
                is_idle = result.operation is None or result.operation.finished_at is not None
                if is_idle and not is_down:
                    # As rarely as possible without a gap in the sync periods.
                    pause = IDLE_INTERVAL
                if clock.now() + pause >= until:
                    break
                clock.set(clock.now() + pause)


def outages(end: datetime) -> list[Step]:
    """Return the steps of outages: the proxy in front of the workspace responds with 502."""

    def set_outage(status: int | None, workspace: Workspace) -> None:
        workspace.outage = status

    steps = []
    for before_end, duration in OUTAGES:
        start = end - before_end
        # A successful poll shortly before, so that the start is known.
        steps.append(Step(start - timedelta(minutes=5), partial(set_outage, None), "up"))
        steps.append(Step(start, partial(set_outage, 502), "down"))
        steps.append(Step(start + duration, partial(set_outage, None), "up again"))
    return steps


def start_import(workspace: Workspace, clock: Clock) -> None:
    """Start an import some minutes ago, so that one is running at the start of the demo."""
    from importmonitor.sync.poll import sync_workspace

    clock.set(datetime.now(UTC) - RUNNING_FOR)
    workspace.start_import(
        "slack", "done-with-errors", IMPORT_SECONDS, records=9_000, file_name="acme-export.zip"
    )
    while (left := (datetime.now(UTC) - clock.now()).total_seconds()) > POLL_INTERVAL:
        sync_workspace("default", now=clock.now)
        clock.advance(min(left, 5 * POLL_INTERVAL))
    clock.set(datetime.now(UTC))
    clock.speed = 1.0


def restart_import(workspace: Workspace, rng: random.Random) -> None:
    """Start another import half a minute after the current one has ended."""
    operation = workspace.current()
    if operation is None or operation["status"] not in FINISHED:
        return
    ended_at = datetime.fromisoformat(operation["_updatedAt"])
    if workspace.clock.now() - ended_at > timedelta(seconds=30):
        kind = rng.choice(("csv", "slack", "pending-files", "hipchat-enterprise"))
        workspace.start_import(
            kind, rng.choice(("done", "done-short", "failed")), IMPORT_SECONDS, records=9_000
        )


def announce(port: int, simulator_url: str, user_id: str, token: str) -> None:
    """Print the URLs, the login and how to stop."""
    base = f"http://127.0.0.1:{port}"
    say(f"""
────────────────────────────────────────────────────────────────────────────
  importmonitor is monitoring a simulated Rocket.Chat; an import is running.

  Admin:         {base}/admin/importmonitor/importoperation/
  Log in as:     {LOGIN}, password {LOGIN}

  The endpoint, as a Rocket.Chat client requests it:
    curl -H 'X-User-Id: {user_id}' \\
         -H 'X-Auth-Token: {token}' \\
         {base}/api/v1/getCurrentImportOperation

  API docs:      {base}/api/docs/

  The simulated workspace: {simulator_url}
  Press Ctrl-C to stop.
────────────────────────────────────────────────────────────────────────────
""")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
