"""`make demo`: three workspaces, one of them down; a history, a running import, and alerts.

Every start creates everything anew, under `.local/`. All servers listen on loopback only.
"""

import os
import random
import secrets
import shutil
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import django

from project.demo_history import ALERT_DAYS, DemoWorkspace, simulate_history
from project.serving import LOCAL, free_port, stop_on_signals, sync_until, web_server
from simulator.clock import Clock
from simulator.kinds import FINISHED
from simulator.server import Server
from simulator.workspace import Workspace

FOLDER = LOCAL / "demo"
LOGIN = "demo"
HISTORY_DAYS = 90
#: Seconds between polls in the present.
POLL_INTERVAL = 2.0
#: How long an import takes, and for how long the first one has been running at the start.
IMPORT_SECONDS = 420.0
RUNNING_FOR = timedelta(seconds=200)
SHORTLY = timedelta(seconds=5)
#: Down since yesterday, so that there is a reminder.
DOWN_FOR = timedelta(hours=25)
INBOX = "inbox"


def main() -> int:
    """Run the demo until Ctrl-C or SIGTERM; return the exit status."""
    stop = stop_on_signals()
    workspaces = make_workspaces()
    with ExitStack() as stack:
        urls = {
            workspace.alias: stack.enter_context(Server(workspace.rocketchat)).url
            for workspace in workspaces
        }
        user_id, token = "simulatedUser0001", secrets.token_urlsafe(32)
        for workspace in workspaces:
            workspace.rocketchat.add_user(user_id, token)
        # Of the links in the mails; a minute later, another demo may have it.
        port = free_port(8000)
        prepare_environment(urls, user_id, token, port)
        django.setup()
        say("Creating the database …")
        api_user_id, api_token = prepare_database()
        say(f"Simulating {HISTORY_DAYS} days of imports …")
        channels = Channels()
        for workspace in workspaces:
            end = datetime.now(UTC) - (RUNNING_FOR if workspace.alias == "default" else SHORTLY)
            simulate_history(workspace, end, stop, channels.turn)
        if stop.is_set():
            return 0
        channels.turn(True)
        default, _acme, globex = workspaces
        acknowledge_failures()
        start_import(default.rocketchat, default.clock)
        for workspace in workspaces:
            workspace.clock.set(datetime.now(UTC))
            workspace.clock.speed = 1.0
        port = free_port(port)
        with web_server(port, FOLDER / "server.log") as server:
            announce(port, urls["default"], api_user_id, api_token)
            rng = random.Random(7)

            def before_sync() -> None:
                restart_import(default.rocketchat, rng)
                poll_quietly(globex.alias)

            sync_until(
                stop,
                server,
                interval=POLL_INTERVAL,
                workspaces=["default", "acme"],
                before_sync=before_sync,
            )
    say("\nThe demo has stopped.")
    return 0


def make_workspaces() -> list[DemoWorkspace]:
    """Return the workspaces: a busy one, one whose last import has failed, and one that is down."""

    def make(alias: str, days: int, seed: int, **options: Any) -> DemoWorkspace:
        clock = Clock(datetime.now(UTC) - timedelta(days=days))
        # Without a rate limit: three months are polled within seconds.
        return DemoWorkspace(
            alias, Workspace(clock, seed=seed, rate_limit=None), seed=seed, **options
        )

    hours = [timedelta(hours=number) for number in range(8)]
    outages = [(timedelta(days=5, hours=3), hours[2]), (timedelta(days=2, hours=7), hours[7])]
    return [
        make("default", HISTORY_DAYS, 7, outages=outages),
        make("acme", HISTORY_DAYS // 3, 11, last="failed"),
        make("globex", HISTORY_DAYS // 6, 5, outages=[(DOWN_FOR, DOWN_FOR)]),
    ]


class Channels:
    """Turns the configured channels on and off, in this process alone."""

    def __init__(self) -> None:
        from django.conf import settings

        self._settings: dict[str, Any] = settings.IMPORTMONITOR
        self._channels: dict[str, Any] = settings.IMPORTMONITOR["CHANNELS"]

    def turn(self, on: bool) -> None:
        self._settings["CHANNELS"] = self._channels if on else {}


def acknowledge_failures() -> None:
    """Acknowledge what has failed, as a person would have in the admin: the last until tomorrow."""
    from importmonitor.models import Incident

    now = datetime.now(UTC)
    old = Incident.objects.filter(since__lt=now - ALERT_DAYS)
    old.acknowledge(by=LOGIN, at=now, note="Imported again.")
    note = "The export was cut off. A new one comes tomorrow."
    failed = Incident.objects.filter(workspace="acme")
    failed.acknowledge(by=LOGIN, at=now, until=now + timedelta(days=1), note=note)


def poll_quietly(alias: str) -> None:
    """Poll a workspace that is down, now and then; the terminal says nothing about it."""
    from importmonitor.models import Workspace as Row
    from importmonitor.sync.poll import sync_workspace

    row = Row.objects.get_state(alias)
    last = row.last_polled_at if row else None
    if last is None or datetime.now(UTC) - last > timedelta(seconds=30):
        sync_workspace(alias)


def prepare_environment(urls: dict[str, str], user_id: str, token: str, port: int) -> None:
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
        # Django writes the messages into files.
        EMAIL_URL=f"filemail://{FOLDER / INBOX}",
        IMPORTMONITOR_BASE_URL=f"http://127.0.0.1:{port}",
        IMPORTMONITOR_ALERT_EMAILS="demo@example.org",
        IMPORTMONITOR_ALERT_REMIND_EVERY="86400",
        ROCKETCHAT_WORKSPACES=",".join(alias for alias in urls if alias != "default"),
    )
    for alias, url in urls.items():
        prefix = "ROCKETCHAT" if alias == "default" else f"ROCKETCHAT_{alias.upper()}"
        os.environ |= {
            f"{prefix}_URL": url,
            f"{prefix}_USER_ID": user_id,
            f"{prefix}_AUTH_TOKEN": token,
            # No long retries while a workspace is down.
            f"{prefix}_DEADLINE": "1",
        }


def prepare_database() -> tuple[str, str]:
    """Migrate and create a superuser; return the user's id and an API token for curl."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from importmonitor.models import ApiToken

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser(LOGIN, "demo@example.org", LOGIN)
    _token, text = ApiToken.objects.issue(user, name="demo")
    return str(user.pk), text


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
  importmonitor is monitoring three simulated workspaces: an import is running,
  one workspace is down, and an import has failed.

  Admin:         {base}/admin/importmonitor/importoperation/
  Log in as:     {LOGIN}, password {LOGIN}

  The endpoint, as a Rocket.Chat client requests it:
    curl -H 'X-User-Id: {user_id}' \\
         -H 'X-Auth-Token: {token}' \\
         {base}/api/v1/getCurrentImportOperation

  API docs:      {base}/api/docs/

  Its mails:     {FOLDER / INBOX}/

  The simulated workspace: {simulator_url}
  Press Ctrl-C to stop.
────────────────────────────────────────────────────────────────────────────
""")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
