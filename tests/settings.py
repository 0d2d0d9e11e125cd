"""Settings of the test suite: the host project's, on the database that TEST_DATABASE_URL names."""

import os

os.environ.update(
    ENV_FILE=os.devnull,
    SECRET_KEY="only for tests",
    DEBUG="off",
    SECURE_SSL_REDIRECT="off",
    SECURE_COOKIES="off",
    ALLOWED_HOSTS="localhost,127.0.0.1,testserver",
    ROCKETCHAT_URL="http://127.0.0.1:9",
    ROCKETCHAT_USER_ID="d26x6zSkaPSe5gCyy",
    IMPORTMONITOR_REMEMBER_FOR="0",
    ROCKETCHAT_AUTH_TOKEN="1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE",
)
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from project.settings import *  # noqa: F403 - after the environment that it reads
from project.settings import DATABASES

# The threads of a live server end without closing a kept connection.
DATABASES["default"]["CONN_MAX_AGE"] = 0

# DRF's own default: a host can accept more authenticators than this project does.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ]
}

# The default hashers are slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
