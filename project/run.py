"""`make run`: monitor your own workspace from this machine until Ctrl-C.

Needs ROCKETCHAT_URL, ROCKETCHAT_USER_ID and ROCKETCHAT_AUTH_TOKEN, in the environment or in
`.env`. For a permanent installation, see the README.
"""

import os
import secrets
import sys
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from project.serving import LOCAL, free_port, stop_on_signals, sync_until, web_server

#: In seconds. At most half of the calls that Rocket.Chat allows all clients behind one address.
POLL_INTERVAL = 15.0
LOGIN = "admin"


def main() -> int:
    """Run until Ctrl-C or SIGTERM; return the exit status."""
    stop = stop_on_signals()
    LOCAL.mkdir(exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    os.environ.setdefault("SECRET_KEY", secret_key(LOCAL / "secret_key"))
    # On loopback, without TLS.
    os.environ.setdefault("SECURE_SSL_REDIRECT", "off")
    os.environ.setdefault("SECURE_COOKIES", "off")
    try:
        django.setup()
        from importmonitor import conf

        configured = conf.get_config().workspaces
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not configured:
        sys.stderr.write(
            "No workspace is configured. Set these variables, in the environment or in .env:\n"
            "  ROCKETCHAT_URL=https://chat.example.org\n  ROCKETCHAT_USER_ID=…\n"
            "  ROCKETCHAT_AUTH_TOKEN=…\ndocs/connect.md explains how to create the token.\n"
        )
        return 2
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    login = prepare_login()
    try:
        call_command("check_rocketchat")
    except SystemExit:
        sys.stderr.write("importmonitor keeps polling; the admin shows the sync status.\n")
    port = free_port(8000)
    with web_server(port, LOCAL / "server.log") as server:
        sys.stdout.write(
            f"\n  Admin:      http://127.0.0.1:{port}/admin/importmonitor/importoperation/\n"
            f"  {login}\n  Stop:       Ctrl-C\n\n"
        )
        sys.stdout.flush()
        sync_until(stop, server, interval=POLL_INTERVAL)
    return 0


def secret_key(path: Path) -> str:
    """Return this installation's secret key, generated at the first start."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text().strip()


def prepare_login() -> str:
    """Create a superuser if there is no user; return how to log in."""
    from django.contrib.auth.models import User

    if User.objects.exists():
        return "Log in as:  your existing user (manage.py changepassword resets the password)"
    password = secrets.token_urlsafe(9)
    User.objects.create_superuser(LOGIN, "", password)
    return f"Log in as:  {LOGIN}, password {password} (shown only once)"


if __name__ == "__main__":
    sys.exit(main())
