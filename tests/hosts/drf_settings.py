"""What the APIs respond under a host's DRF settings, printed as JSON by case and request.

DRF reads most of them once, when it is imported, so each case needs a process of its own: a fork
of one that has not imported DRF yet.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CLASSES = "tests.hosts.drf_classes"
NO_LIMITS = {"importmonitor": None, "importmonitor_wrong_tokens": None}
VERSIONS = {"DEFAULT_VERSION": "v1", "ALLOWED_VERSIONS": ["v1", "v2"]}
#: Hostile values of the settings that do not exclude each other.
VALUES: dict[str, Any] = {
    "ALLOWED_VERSIONS": ["v2"],
    "COERCE_BIGINT_TO_STRING": True,
    "COERCE_DECIMAL_TO_STRING": False,
    "COMPACT_JSON": False,
    "DATETIME_FORMAT": "%d.%m.%Y",
    "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"],
    "DATE_FORMAT": "%d.%m.%Y",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{CLASSES}.LastRenderer",
    "DEFAULT_FILTER_BACKENDS": [f"{CLASSES}.NoRows"],
    "DEFAULT_METADATA_CLASS": f"{CLASSES}.NoMetadata",
    "DEFAULT_PAGINATION_CLASS": f"{CLASSES}.OneRow",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FileUploadParser"],
    "DEFAULT_PERMISSION_CLASSES": [f"{CLASSES}.DenyAll"],
    "DEFAULT_RENDERER_CLASSES": [f"{CLASSES}.Envelope"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [f"{CLASSES}.Never"],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day", "user": "1/day", **NO_LIMITS},
    "DURATION_FORMAT": "iso-8601",
    "EXCEPTION_HANDLER": f"{CLASSES}.exception_handler",
    "FORMAT_SUFFIX_KWARG": "pk",
    "HTML_SELECT_CUTOFF": 0,
    "LIST_SERIALIZER_ERRORS_AS_DICT": False,
    "NON_FIELD_ERRORS_KEY": "general",
    "ORDERING_PARAM": "state",
    "PAGE_SIZE": 1,
    "SCHEMA_COERCE_METHOD_NAMES": {"get": "fetch"},
    "SCHEMA_COERCE_PATH_PK": False,
    "SEARCH_PARAM": "workspace",
    "STRICT_JSON": False,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": [f"{CLASSES}.Envelope"],
    "TIME_FORMAT": "%H",
    "UNAUTHENTICATED_TOKEN": "builtins.object",
    "UNAUTHENTICATED_USER": None,
    "UNICODE_JSON": False,
    "UPLOADED_FILES_USE_URL": False,
    "URL_FIELD_NAME": "id",
    "URL_FORMAT_OVERRIDE": "state",
    "VIEW_DESCRIPTION_FUNCTION": f"{CLASSES}.view_description",
    "VIEW_NAME_FUNCTION": f"{CLASSES}.view_name",
}
#: Cases by name. The first is DRF's defaults.
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all at once": VALUES,
    **{
        f"DEFAULT_VERSIONING_CLASS={name}": {
            "DEFAULT_VERSIONING_CLASS": f"rest_framework.versioning.{name}",
            **VERSIONS,
        }
        for name in (
            "AcceptHeaderVersioning",
            "HostNameVersioning",
            "NamespaceVersioning",
            "QueryParameterVersioning",
            "URLPathVersioning",
        )
    },
    "VERSION_PARAM": {"VERSION_PARAM": "state", **VERSIONS},
    "FORMAT_SUFFIX_KWARG=alias": {"FORMAT_SUFFIX_KWARG": "alias"},
    "URL_FORMAT_OVERRIDE=None": {"URL_FORMAT_OVERRIDE": None},
}
#: Each setting alone: what of VALUES changes a response, and that none hides another's change.
ONE_BY_ONE = {name: {name: value} for name, value in VALUES.items()}
OPERATIONS = "/api/import-operations/"
REST = (
    OPERATIONS,
    f"{OPERATIONS}?format=json",
    f"{OPERATIONS}?format=xml",
    f"{OPERATIONS}?page_size=1&state=importing&started_after=2026-03-25T10:00:00Z",
    f"{OPERATIONS}?page_size=0",
    f"{OPERATIONS}?state=nonsense",
    f"{OPERATIONS}?nonsense=1",
    f"{OPERATIONS}1/",
    f"{OPERATIONS}1/transitions/",
    f"{OPERATIONS}1/samples/?page_size=1",
    f"{OPERATIONS}999/",
    f"{OPERATIONS}nonsense/",
    "/api/workspaces/",
    "/api/workspaces/?page=9",
    "/api/schema/",
    "/api/schema/?format=json",
    "/api/docs/",
    "/metrics",
    "/healthz",
)
ENDPOINTS = (
    "getCurrentImportOperation",
    "getCurrentImportOperation?x=1",
    "getLatestImportOperations",
    "getImportProgress",
    "import.status?x=1",
    "channels.list",
)
PREFIXES = ("/api/v1/", "/workspaces/nonsense/api/v1/")


def requests(users: dict[str, dict[str, str]]) -> dict[str, list[Any]]:
    """Return the status, the headers and the body of each response."""
    from django.test import Client

    client = Client(raise_request_exception=False)
    urls = (*REST, *(prefix + endpoint for prefix in PREFIXES for endpoint in ENDPOINTS))
    received = {}
    for url in urls:
        cases: list[tuple[str, str, dict[str, str]]] = [
            *(("GET", name, headers) for name, headers in users.items()),
            *(
                ("GET", f"Accept: {accept}", users["viewer"] | {"Accept": accept})
                for accept in ("text/html", "application/json; indent=2", "x/y", "*/*;version=v3")
            ),
            ("POST", "viewer", users["viewer"] | {"Content-Type": "application/json"}),
            ("OPTIONS", "viewer", users["viewer"]),
            ("HEAD", "viewer", users["viewer"]),
        ]
        for method, name, headers in cases:
            response = client.generic(method, url, "{", headers=headers)
            received[f"{method} {url} ({name})"] = [
                response.status_code,
                dict(response.headers),
                response.content.decode(),
            ]
    return received


def in_fork(case: dict[str, Any], users: dict[str, dict[str, str]]) -> dict[str, list[Any]]:
    """Return the responses in a new process with these settings."""
    from django.conf import settings

    reading, writing = os.pipe()
    if not (child := os.fork()):
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | case
        Path(f"/dev/fd/{writing}").write_text(json.dumps(requests(users)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    received: dict[str, list[Any]] = json.loads(text)
    return received


def main() -> None:
    import time_machine

    from tests import settings

    settings.INSTALLED_APPS = [
        name for name in settings.INSTALLED_APPS if not name.startswith("drf_")
    ]
    settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = NO_LIMITS
    settings.LOGGING = {"version": 1, "disable_existing_loggers": True}
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from tests.api.helpers import NOON, RUNNING, credentials, make_user, sync

    with time_machine.travel(NOON, tick=False):
        sync({**RUNNING, "file": "20260225110000_d26x6zSkaPSe5gCyy_Größe.csv"})
        sync({**RUNNING, "_id": "65f8a1c2e4b0d9a7c3f1e206", "count": {"total": 20, "completed": 7}})
        viewer = make_user("viewer", "run-import", "view-import-operations")
        users = {
            "viewer": credentials(viewer),
            "stranger": credentials(make_user("stranger")),
            "anonymous": {},
            "wrong": credentials(viewer) | {"X-Auth-Token": "no"},
        }
        assert "rest_framework.settings" not in sys.modules
        cases = CASES | (ONE_BY_ONE if "--one-by-one" in sys.argv else {})
        json.dump({name: in_fork(case, users) for name, case in cases.items()}, sys.stdout)


if __name__ == "__main__":
    main()
