"""`make run`: watch your own workspace, on this machine, as long as this runs.

Wants ROCKETCHAT_URL, ROCKETCHAT_USER_ID and ROCKETCHAT_AUTH_TOKEN, in the environment or in
`.env`. For a lasting installation, see the README.
"""

import os
import secrets
import sys
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from project.serving import LOCAL, free_port, stop_on_signals, sync_until, web_server

#: Half of the calls that Rocket.Chat allows to everybody behind this address, at most.
LOOK_EVERY = 15.0
LOGIN = "admin"


def main() -> int:
    """Run until Ctrl-C or SIGTERM; return the exit status."""
    stop = stop_on_signals()
    LOCAL.mkdir(exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    os.environ.setdefault("SECRET_KEY", secret_key(LOCAL / "secret_key"))
    os.environ.setdefault("SECURE_SSL_REDIRECT", "off")
    try:
        django.setup()
        from importmonitor import conf

        configured = conf.config().workspaces
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not configured:
        sys.stderr.write(
            "No workspace is configured. Set these three, in the environment or in .env, and try "
            "again:\n  ROCKETCHAT_URL=https://chat.example.org\n  ROCKETCHAT_USER_ID=…\n"
            "  ROCKETCHAT_AUTH_TOKEN=…\nThe README tells how to make the token.\n"
        )
        return 2
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    login = first_login()
    try:
        call_command("check_rocketchat")
    except SystemExit:
        sys.stderr.write("It is tried again and again; the pages show how it goes.\n")
    port = free_port(8000)
    with web_server(port, LOCAL / "server.log") as server:
        sys.stdout.write(
            f"\n  Watch it:   http://127.0.0.1:{port}/admin/importmonitor/importoperation/\n"
            f"  {login}\n  Stop:       Ctrl-C\n\n"
        )
        sys.stdout.flush()
        sync_until(stop, server, interval=LOOK_EVERY)
    return 0


def secret_key(path: Path) -> str:
    """Return this installation's own key, making it at the first start."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text().strip()


def first_login() -> str:
    """Make a superuser if there is no user at all; return what to say about logging in."""
    from django.contrib.auth.models import User

    if User.objects.exists():
        return "Log in as:  the user that you have (manage.py changepassword if it is forgotten)"
    password = secrets.token_urlsafe(9)
    User.objects.create_superuser(LOGIN, "", password)
    return f"Log in as:  {LOGIN}, password {password} (shown this once)"


if __name__ == "__main__":
    sys.exit(main())
