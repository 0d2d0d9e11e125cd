"""Settings of the host project, read from the environment or from a file of variables: `.env`
beside `manage.py`, unless ENV_FILE names another.

Every variable NAME may be given as NAME_FILE instead: the path of a file that holds the value, as
container platforms and systemd hand out secrets.
"""

import hashlib
import os
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv()
env_file = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if env_file.is_file():
    env.read_env(env_file)


def text(name: str, default: str = "") -> str:
    """Return a variable's text, without the line break that ends a file."""
    try:
        value: str = env.str(name, default=default)
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error.strerror}.") from None
    return value.strip()


def number(name: str) -> Any:
    """Return a variable as a number; what is none stays text, for the system checks to show."""
    try:
        return float(text(name))
    except ValueError:
        return text(name)


def boolean(name: str, *, default: bool) -> bool:
    """Return a switch; raises ImproperlyConfigured for what is neither on nor off."""
    value = text(name).lower()
    if value in {"1", "on", "true", "yes"}:
        return True
    if value in {"0", "off", "false", "no"}:
        return False
    if value:
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to on or off.")
    return default


def words(name: str) -> list[str]:
    """Return a comma-separated list."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


DEBUG = boolean("DEBUG", default=False)
SECRET_KEY = text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Make one with\n"
            "  python -c 'import secrets; print(secrets.token_urlsafe(50))'\n"
            "and put it into the environment or into .env beside manage.py, as SECRET_KEY=…"
        )
    SECRET_KEY = "insecure-and-only-for-debugging"  # noqa: S105 - refused unless DEBUG is on
ALLOWED_HOSTS = words("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")

SECURE_SSL_REDIRECT = boolean("SECURE_SSL_REDIRECT", default=not DEBUG)
# Who asks for that is on this side of whatever ends TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT

INSTALLED_APPS = [
    "importmonitor",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database() -> dict[str, Any]:
    """Return the database's settings, with what suits many readers beside a writer.

    docs/settings.md tells why, for those who set up their own.
    """
    url = text("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'db.sqlite3'}"
    found: dict[str, Any] = {}
    # Asked first: of a scheme that it does not know, environ warns with the password in the text.
    if url.partition("://")[0] in environ.Env.DB_SCHEMES:
        with suppress(ValueError):
            found = environ.Env.db_url_config(url)
    if not found:
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read. It looks like postgres://user:password@host/name."
        )
    if found["ENGINE"].endswith("sqlite3"):
        found["OPTIONS"] = {
            # Take the write lock when a transaction begins: one that asks for it later, having
            # read, is refused at once when another has written in between, time-out or not.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        } | found.get("OPTIONS", {})
    found = {"CONN_HEALTH_CHECKS": True} | found
    options = found.get("OPTIONS", {})
    if found["ENGINE"].endswith("postgresql") and options.get("pool") == "true":
        # One for each of the 32 threads that poll at a time, and some for pages: each poll keeps
        # its connection while it asks Rocket.Chat, and with fewer they would wait for each other.
        return found | {
            "OPTIONS": options | {"pool": {"min_size": 1, "max_size": 40, "timeout": 5}}
        }
    # Opening a connection takes longer than most of what is asked over it, on SQLite too. Keeping
    # it is as fast as a pool, and tells at once why a server cannot be reached.
    return {"CONN_MAX_AGE": 60} | found


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# DRF's own choice lets in by passwords too; those are for people to log in with.
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"]
}

LANGUAGE_CODE = text("LANGUAGE_CODE", "en-us")
TIME_ZONE = text("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
# Serve static files where they lie: nobody has to remember collectstatic.
WHITENOISE_USE_FINDERS = True

# For the extra `celery` (project/celery.py).
CELERY_BROKER_URL = text("CELERY_BROKER_URL") or None
#: In seconds: how often all workspaces are polled by Celery.
CELERY_SYNC_EVERY = number("CELERY_SYNC_EVERY") if text("CELERY_SYNC_EVERY") else 60.0
if not isinstance(CELERY_SYNC_EVERY, float) or not 1 <= CELERY_SYNC_EVERY <= 86_400:
    raise ImproperlyConfigured(
        f"CELERY_SYNC_EVERY is {CELERY_SYNC_EVERY!r}: give a number of seconds, from 1 to 86400."
    )

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    # Commands say on stdout and stderr what they have to say; a log is for those who want more.
    "loggers": {
        "importmonitor": {"handlers": ["console"], "level": text("LOG_LEVEL", "ERROR").upper()}
    },
}


def rocketchat_workspace(prefix: str) -> dict[str, Any]:
    """Return a workspace's options from PREFIX_URL, PREFIX_USER_ID, PREFIX_AUTH_TOKEN and so on.

    Those that are not set are left out, so that importmonitor's defaults and checks apply.
    """
    options: dict[str, Any] = {}
    for key in ("URL", "USER_ID", "AUTH_TOKEN", "CA_BUNDLE"):
        if value := text(f"{prefix}_{key}"):
            options[key] = value
    for key in ("TIMEOUT", "DEADLINE"):
        if text(f"{prefix}_{key}"):
            options[key] = number(f"{prefix}_{key}")
    if text(f"{prefix}_ALLOW_HTTP"):
        options["ALLOW_HTTP"] = boolean(f"{prefix}_ALLOW_HTTP", default=False)
    return options


WORKSPACES = {
    alias: rocketchat_workspace(f"ROCKETCHAT_{alias.upper().replace('-', '_')}")
    for alias in words("ROCKETCHAT_WORKSPACES")
}
if default_workspace := rocketchat_workspace("ROCKETCHAT"):
    WORKSPACES = {"default": default_workspace} | WORKSPACES

IMPORTMONITOR: dict[str, Any] = {
    "WORKSPACES": WORKSPACES,
    "CHANNELS": {},
}
if "IMPORTMONITOR_BASE_URL" in os.environ or "IMPORTMONITOR_BASE_URL_FILE" in os.environ:
    IMPORTMONITOR["BASE_URL"] = text("IMPORTMONITOR_BASE_URL")
for key in ("STALLED_AFTER", "WAITING_AFTER", "UNREACHABLE_AFTER", "REMEMBER_FOR"):
    if text(f"IMPORTMONITOR_{key}"):
        seconds = number(f"IMPORTMONITOR_{key}")
        # What is no time stays as it is, for the system checks to show.
        with suppress(TypeError, ValueError, OverflowError):
            seconds = timedelta(seconds=seconds)
        IMPORTMONITOR[key] = seconds
for key in ("KEEP_DAYS", "KEEP_SAMPLES_DAYS"):
    if text(f"IMPORTMONITOR_{key}"):
        days = number(f"IMPORTMONITOR_{key}")
        whole = isinstance(days, float) and days.is_integer()
        IMPORTMONITOR[key] = int(days) if whole else days


def channel_name(kind: str, address: str) -> str:
    """Name a channel by where it leads: what waits for it is not to go anywhere else."""
    return f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:6]}"


# One channel for each address, so that each is tried again by itself.
for address in words("IMPORTMONITOR_ALERT_EMAILS"):
    IMPORTMONITOR["CHANNELS"][channel_name("email", address)] = {
        "BACKEND": "importmonitor.alerts.channels.EmailChannel",
        "TO": [address],
    }
# A comma can be part of a URL.
for url in re.split(r"\s*,\s*(?=[a-z0-9]+://)", text("IMPORTMONITOR_ALERT_URLS")):
    if url:
        IMPORTMONITOR["CHANNELS"][channel_name("url", url)] = {
            "BACKEND": "importmonitor.alerts.channels.AppriseChannel",
            "URL": url,
        }


def email() -> dict[str, Any]:
    """Return Django's mail settings for EMAIL_URL, as EMAIL_… without the prefix."""
    url = text("EMAIL_URL")
    found: dict[str, Any] = {}
    # Asked first: for a scheme that it does not know, environ's error has the password in it.
    if url.partition("://")[0] in environ.Env.EMAIL_SCHEMES:
        with suppress(ValueError):
            found = environ.Env.email_url_config(url)
    if url and not found:
        raise ImproperlyConfigured(
            "EMAIL_URL cannot be read. It looks like smtp+tls://user:password@mail.example.org:587."
        )
    options = {key.removeprefix("EMAIL_").lower(): value for key, value in found.items() if value}
    # A mail server that does not answer is not to keep a poll.
    return {"backend": "django.core.mail.backends.smtp.EmailBackend", "timeout": 10} | options


mail = email()
if django.VERSION < (6, 1):
    EMAIL_BACKEND = mail["backend"]
    EMAIL_HOST = mail.get("host", "localhost")
    EMAIL_PORT = mail.get("port", 25)
    EMAIL_HOST_USER = mail.get("host_user", "")
    EMAIL_HOST_PASSWORD = mail.get("host_password", "")
    EMAIL_USE_TLS = mail.get("use_tls", False)
    EMAIL_USE_SSL = mail.get("use_ssl", False)
    EMAIL_TIMEOUT = mail["timeout"]
    EMAIL_FILE_PATH = mail.get("file_path")
else:
    names = {"host_user": "username", "host_password": "password"}
    known = {"host", "port", "host_user", "host_password", "use_tls", "use_ssl", "timeout"}
    if mail["backend"].endswith("filebased.EmailBackend"):
        known = {"file_path"}
    elif not mail["backend"].endswith("smtp.EmailBackend"):
        known = set()
    MAILERS = {
        "default": {
            "BACKEND": mail["backend"],
            "OPTIONS": {names.get(key, key): mail[key] for key in known if key in mail},
        }
    }
DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "importmonitor@localhost")
