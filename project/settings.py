"""Settings, read from the environment or from a file of variables: `.env` beside `manage.py`,
unless ENV_FILE names another.

Every variable NAME can be given as NAME_FILE instead: the path of a file with the value, as
container platforms and systemd provide secrets.
"""

import hashlib
import json
import logging
import os
import re
import sys
import warnings
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import environ
from django.core.exceptions import ImproperlyConfigured

from importmonitor.secret import Secret, hide

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv()


def read_env_file(path: Path) -> None:
    """Add the variables of a file to the environment, which takes precedence."""
    problem, lines = "", []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        problem = str(error.strerror)
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    if problem:
        # Raised here: in the context, a UnicodeDecodeError would carry the whole file.
        raise ImproperlyConfigured(f"{path} cannot be read: {problem}.")
    for number, line in enumerate(lines, start=1):
        if line and not re.match(r"#|(export )?[A-Za-z_0-9]+=", line):
            sys.stderr.write(f"{path}, line {number} is ignored: it is not NAME=value.\n")
    # django-environ would quote such a line in a warning, and it can be a secret.
    logging.getLogger("environ.environ").disabled = True
    env.read_env(path)


def read_text(name: str, default: str = "") -> str:
    """Return a variable as text, without surrounding white space such as a file's last newline."""
    try:
        # Not by `env.str`: there, a value that starts with "$" names another variable.
        value: str = env.ENVIRON.get(name, default)
    except OSError as error:
        problem = str(error.strerror)
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    else:
        return value.strip()
    # Raised here: in the context, a UnicodeDecodeError would carry the content of the file.
    raise ImproperlyConfigured(f"{name}_FILE cannot be read: {problem}.")


def read_secret(name: str) -> Secret:
    """Return a variable as text that neither `diffsettings` nor an error page shows."""
    return Secret(read_text(name))


if (env_file := Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))).is_file():
    read_env_file(env_file)


def read_number(name: str) -> Any:
    """Return a variable as a number, or as text for the system checks to report."""
    try:
        return float(read_text(name))
    except ValueError:
        return read_secret(name)


def read_boolean(name: str, *, default: bool) -> bool:
    """Return a switch; raises ImproperlyConfigured for a value other than on and off."""
    value = read_text(name).lower()
    if value in {"1", "on", "true", "yes"}:
        return True
    if value in {"0", "off", "false", "no"}:
        return False
    if value:
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to on or off.")
    return default


def read_list(name: str) -> list[str]:
    """Return a comma-separated list."""
    return [word.strip() for word in read_text(name).split(",") if word.strip()]


def read_seconds(name: str, *, default: int) -> int:
    """Return a whole number of seconds."""
    value = read_text(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ImproperlyConfigured(f"{name} has to be a whole number of seconds.")
    return int(value)


def read_proxy_header(name: str) -> tuple[str, str] | None:
    """Return a header and its value as Django's SECURE_PROXY_SSL_HEADER has them."""
    if not (value := read_text(name)):
        return None
    if match := re.fullmatch("([A-Za-z0-9-]+): *([^ ,:]+)", value):
        return f"HTTP_{match[1].upper().replace('-', '_')}", match[2]
    raise ImproperlyConfigured(
        f"{name} cannot be read. Its form is X-Forwarded-Proto: https - the header that the proxy "
        "sets, and its value for requests that came over https."
    )


percent_encode = "in the password, write %2F for '/', %3F for '?', %23 for '#' and %40 for '@'."


def is_cut_off(url: str, ends: str) -> bool:
    """Return whether the password of a URL contains a character that ends the host for parsers.

    They would take the rest of the password for a name or an option, which is no secret.
    """
    authority, *rest = re.split(f"[{ends}]", url.partition("://")[2], maxsplit=1)
    return "@" not in authority and "@" in "".join(rest)


DEBUG = read_boolean("DEBUG", default=False)
SECRET_KEY: str = read_secret("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Generate one with\n"
            "  python -c 'import secrets; print(secrets.token_urlsafe(50))'\n"
            "and set SECRET_KEY=… in the environment or in .env beside manage.py."
        )
    SECRET_KEY = "insecure-and-only-for-debugging"  # noqa: S105 - refused unless DEBUG is on
ALLOWED_HOSTS = read_list("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = read_list("CSRF_TRUSTED_ORIGINS")

# None depends on another: a proxy can redirect to https, or set HSTS, in place of this project.
SECURE_SSL_REDIRECT = read_boolean("SECURE_SSL_REDIRECT", default=not DEBUG)
# Health checks come over plain HTTP from behind the TLS proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_PROXY_SSL_HEADER = read_proxy_header("SECURE_PROXY_SSL_HEADER")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = read_boolean("SECURE_COOKIES", default=not DEBUG)
# An hour: browsers soon forget it if https has to be switched off again.
SECURE_HSTS_SECONDS = read_seconds("SECURE_HSTS_SECONDS", default=0 if DEBUG else 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = read_boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = read_boolean("SECURE_HSTS_PRELOAD", default=False)
# They ask for HSTS on subdomains and in browsers' preload lists, which concerns other hosts too.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

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
    # First, so that every response has the policy.
    "project.security.ContentSecurityPolicyMiddleware",
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
DEFAULT_EXCEPTION_REPORTER_FILTER = "project.errors.ExceptionReporterFilter"
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


def read_database() -> dict[str, Any]:
    """Return the database's settings, tuned for many readers and one writer.

    docs/settings.md explains them.
    """
    url = read_secret("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'db.sqlite3'}"
    config: dict[str, Any] = {}
    # Checked first: for an unknown scheme, environ warns with the password in the text.
    if url.partition("://")[0] in environ.Env.DB_SCHEMES:
        with suppress(ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = environ.Env.db_url_config(url)
    is_server = bool(config) and not config["ENGINE"].endswith(("sqlite3", "spatialite"))
    if not config or (is_server and ("@" in config["NAME"] or is_cut_off(url, "/?"))):
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read. Its form is postgres://user:password@host/name; "
            f"{percent_encode}"
        )
    if password := read_secret("DATABASE_PASSWORD"):
        config["PASSWORD"] = password
    # Any of them can be a password, like `sslpassword`.
    config |= {key: hide(config[key]) for key in ("PASSWORD", "OPTIONS") if key in config}
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = {
            # Take the write lock at the start of a transaction: one that reads first and then
            # writes fails at once, whatever the timeout, if another has written in between.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        } | config.get("OPTIONS", {})
    config = {"CONN_HEALTH_CHECKS": True} | config
    options = config.get("OPTIONS", {})
    if config["ENGINE"].endswith("postgresql") and options.get("pool") == "true":
        # One for each of the 32 polling threads, and some for pages: a poll keeps its connection
        # while it waits for Rocket.Chat, so with fewer the threads would wait for each other.
        return config | {
            "OPTIONS": options | {"pool": {"min_size": 1, "max_size": 40, "timeout": 5}}
        }
    # Opening a connection takes longer than most queries, on SQLite too. A persistent connection
    # is as fast as a pool, and reports at once why a server cannot be reached.
    return {"CONN_MAX_AGE": 60} | config


DATABASES = {"default": read_database()}
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

# DRF's default also accepts passwords, which are meant for the login only.
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"]
}

# The page of the API, /api/docs/, redirects there.
LOGIN_URL = "admin:login"

LANGUAGE_CODE = read_text("LANGUAGE_CODE", "en-us")
TIME_ZONE = read_text("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

# For the image (project/entrypoint.py): `web` migrates before it serves.
MIGRATE_ON_START = read_boolean("MIGRATE_ON_START", default=False)

STATIC_URL = "static/"
if "collectstatic" in sys.argv or (BASE_DIR / "staticfiles" / "staticfiles.json").is_file():
    # As in the image: compressed, under names that browsers may cache for ever.
    STATIC_ROOT = BASE_DIR / "staticfiles"
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    WHITENOISE_KEEP_ONLY_HASHED_FILES = True
else:
    # Serve static files from the apps, so that collectstatic is not needed.
    WHITENOISE_USE_FINDERS = True

# For the extra `celery` (project/celery.py).
CELERY_BROKER_URL = read_secret("CELERY_BROKER_URL") or None
if CELERY_BROKER_URL and is_cut_off(CELERY_BROKER_URL, "/?#"):
    raise ImproperlyConfigured(f"CELERY_BROKER_URL cannot be read: {percent_encode}")
#: Seconds between polls of all workspaces by Celery.
CELERY_SYNC_EVERY = read_number("CELERY_SYNC_EVERY") if read_text("CELERY_SYNC_EVERY") else 60.0
if not isinstance(CELERY_SYNC_EVERY, float) or not 1 <= CELERY_SYNC_EVERY <= 86_400:
    raise ImproperlyConfigured("CELERY_SYNC_EVERY has to be a number of seconds, from 1 to 86400.")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    # The commands report on stdout and stderr; the log has details.
    "loggers": {
        "importmonitor": {"handlers": ["console"], "level": read_text("LOG_LEVEL", "ERROR").upper()}
    },
}


def rocketchat_workspace(prefix: str) -> dict[str, Any]:
    """Return a workspace's options from PREFIX_URL, PREFIX_USER_ID, PREFIX_AUTH_TOKEN and so on.

    Unset variables are left out, so that importmonitor's defaults and checks apply.
    """
    options: dict[str, Any] = {}
    for key in ("URL", "USER_ID", "AUTH_TOKEN", "CA_BUNDLE"):
        if value := read_secret(f"{prefix}_{key}"):
            options[key] = value
    for key in ("TIMEOUT", "DEADLINE"):
        if read_text(f"{prefix}_{key}"):
            options[key] = read_number(f"{prefix}_{key}")
    if log_url := read_text(f"{prefix}_LOG_URL"):
        options["LOG_URL"] = log_url
    if text := read_secret(f"{prefix}_HEADERS"):
        options["HEADERS"] = text
        # What is not JSON stays text, for the system checks to report.
        with suppress(ValueError, RecursionError):
            options["HEADERS"] = hide(json.loads(text))
    if read_text(f"{prefix}_GROUPS"):
        options["GROUPS"] = read_list(f"{prefix}_GROUPS")
    if read_text(f"{prefix}_ALLOW_HTTP"):
        options["ALLOW_HTTP"] = read_boolean(f"{prefix}_ALLOW_HTTP", default=False)
    return options


WORKSPACES = {
    alias: rocketchat_workspace(f"ROCKETCHAT_{alias.upper().replace('-', '_')}")
    for alias in read_list("ROCKETCHAT_WORKSPACES")
}
if default_workspace := rocketchat_workspace("ROCKETCHAT"):
    WORKSPACES = {"default": default_workspace} | WORKSPACES

IMPORTMONITOR: dict[str, Any] = {
    "WORKSPACES": WORKSPACES,
    "CHANNELS": {},
}
if "IMPORTMONITOR_BASE_URL" in os.environ or "IMPORTMONITOR_BASE_URL_FILE" in os.environ:
    IMPORTMONITOR["BASE_URL"] = read_text("IMPORTMONITOR_BASE_URL")
if heartbeat_url := read_secret("IMPORTMONITOR_HEARTBEAT_URL"):
    IMPORTMONITOR["HEARTBEAT_URL"] = heartbeat_url
for key in ("PUBLIC_SCHEMA", "USER_NAMES"):
    if read_text(f"IMPORTMONITOR_{key}"):
        IMPORTMONITOR[key] = read_boolean(f"IMPORTMONITOR_{key}", default=False)
if "IMPORTMONITOR_INCIDENT_OUTCOMES" in os.environ:
    IMPORTMONITOR["INCIDENT_OUTCOMES"] = read_list("IMPORTMONITOR_INCIDENT_OUTCOMES")
if metrics_workspaces := read_list("IMPORTMONITOR_METRICS_WORKSPACES"):
    IMPORTMONITOR["METRICS_WORKSPACES"] = metrics_workspaces
for key in ("STALLED_AFTER", "WAITING_AFTER", "UNREACHABLE_AFTER", "REMEMBER_FOR"):
    if read_text(f"IMPORTMONITOR_{key}"):
        seconds = read_number(f"IMPORTMONITOR_{key}")
        # An invalid duration stays as it is, for the system checks to report.
        with suppress(TypeError, ValueError, OverflowError):
            seconds = timedelta(seconds=seconds)
        IMPORTMONITOR[key] = seconds
for key in ("KEEP_DAYS", "KEEP_SAMPLES_DAYS", "METRICS_LIMIT"):
    if read_text(f"IMPORTMONITOR_{key}"):
        number = read_number(f"IMPORTMONITOR_{key}")
        whole = isinstance(number, float) and number.is_integer()
        IMPORTMONITOR[key] = int(number) if whole else number


def channel_name(kind: str, address: str) -> str:
    """Name a channel by its address, so that a pending alert is never sent to another one."""
    return f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:6]}"


CHANNEL_OPTIONS: dict[str, Any] = {}
if read_text("IMPORTMONITOR_ALERT_REMIND_EVERY"):
    seconds = read_number("IMPORTMONITOR_ALERT_REMIND_EVERY")
    with suppress(TypeError, ValueError, OverflowError):
        seconds = timedelta(seconds=seconds)
    CHANNEL_OPTIONS["REMIND_EVERY"] = seconds
EMAIL_OPTIONS = dict(CHANNEL_OPTIONS)
if digest := read_text("IMPORTMONITOR_ALERT_DIGEST"):
    EMAIL_OPTIONS["DIGEST"] = digest
# One channel per address, so that each is retried separately.
# Secret, in case it is an Apprise URL, with a password.
for address in hide(read_list("IMPORTMONITOR_ALERT_EMAILS")):
    IMPORTMONITOR["CHANNELS"][channel_name("email", address)] = {
        "BACKEND": "importmonitor.alerts.channels.EmailChannel",
        "TO": [address],
        **EMAIL_OPTIONS,
    }
# A comma can be part of a URL.
for url in map(
    Secret, re.split(r"\s*,\s*(?=[a-z0-9]+://)", read_secret("IMPORTMONITOR_ALERT_URLS"))
):
    if url:
        IMPORTMONITOR["CHANNELS"][channel_name("url", url)] = {
            "BACKEND": "importmonitor.alerts.channels.AppriseChannel",
            "URL": url,
            **CHANNEL_OPTIONS,
        }


def read_email() -> dict[str, Any]:
    """Return Django's mail settings from EMAIL_URL: EMAIL_… in lower case without the prefix."""
    url = read_secret("EMAIL_URL")
    config: dict[str, Any] = {}
    # Checked first: for an unknown scheme, environ's error contains the password.
    if url.partition("://")[0] in environ.Env.EMAIL_SCHEMES:
        with suppress(ValueError):
            config = environ.Env.email_url_config(url)
            if url.startswith("filemail:"):
                # environ makes an absolute path a relative one.
                config["EMAIL_FILE_PATH"] = urlsplit(url).path
    is_cut = "@" in str(config.get("EMAIL_FILE_PATH")) or is_cut_off(url, "/?#")
    if url and (not config or (is_cut and url.startswith("smtp"))):
        raise ImproperlyConfigured(
            "EMAIL_URL cannot be read. Its form is smtp+tls://user:password@mail.example.org:587; "
            f"{percent_encode}"
        )
    options = {key.removeprefix("EMAIL_").lower(): value for key, value in config.items() if value}
    if "host_password" in options:
        options["host_password"] = Secret(options["host_password"])
    # A mail server that does not respond must not block a poll.
    return {"backend": "django.core.mail.backends.smtp.EmailBackend", "timeout": 10} | options


mail = read_email()
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
    new_names = {"host_user": "username", "host_password": "password"}
    option_names = {"host", "port", "host_user", "host_password", "use_tls", "use_ssl", "timeout"}
    if mail["backend"].endswith("filebased.EmailBackend"):
        option_names = {"file_path"}
    elif not mail["backend"].endswith("smtp.EmailBackend"):
        option_names = set()
    MAILERS = {
        "default": {
            "BACKEND": mail["backend"],
            "OPTIONS": {new_names.get(key, key): mail[key] for key in option_names if key in mail},
        }
    }
DEFAULT_FROM_EMAIL = read_text("DEFAULT_FROM_EMAIL", "importmonitor@localhost")
