"""Credentials: an API token in Rocket.Chat's two headers, or as a bearer token."""

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DataError
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request
from rest_framework.views import APIView

from importmonitor.api.defaults import SETTINGS, ContentNegotiation
from importmonitor.api.throttling import WrongTokenThrottle
from importmonitor.models import ApiToken
from importmonitor.secret import Secret, hide

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# An API token by its form. Any other bearer token is left to the host's own authenticators.
_BEARER_TOKEN = re.compile(r"Bearer +([0-9a-f]{12}[\w-]{43})", re.ASCII | re.IGNORECASE)


class RocketChatTokenAuthentication(BaseAuthentication):
    """`X-User-Id` (the Django user's id) and `X-Auth-Token` (one of that user's API tokens)."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> "tuple[User, ApiToken] | None":
        """Return the user and the token, or None if the request has neither header.

        Raises AuthenticationFailed if they are invalid or expired, and Throttled after too many
        such requests.
        """
        user_id = request.headers.get("X-User-Id")
        text: Secret | None = hide(request.headers.get("X-Auth-Token"))
        if user_id is None and text is None:
            return None
        return _user_and_token(request, ApiToken.objects.authenticate(text or "", user_id or ""))

    def authenticate_header(self, request: Request) -> str:
        # Required for DRF to send 401; no browser knows this scheme and asks for a password.
        return "X-Auth-Token"


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer` and an API token, for clients without custom headers."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> "tuple[User, ApiToken] | None":
        """Return the user and the token, or None if the request has no token of this form.

        Raises what RocketChatTokenAuthentication raises.
        """
        text = _bearer_token(request)
        if text is None:
            return None
        return _user_and_token(request, ApiToken.objects.authenticate(text))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _bearer_token(request: Request) -> Secret | None:
    match = _BEARER_TOKEN.fullmatch(request.headers.get("Authorization", ""))
    return Secret(match[1]) if match else None


def _user_and_token(request: Request, token: ApiToken | None) -> "tuple[User, ApiToken]":
    if token is None:
        WrongTokenThrottle().refuse(request)
        raise AssertionError("refuse() has raised")
    token.record_use()
    return token.user, token


class TokenAPIView(APIView):
    """A view that accepts API tokens and the authenticators of the host's own API.

    Nothing else is the host's: renderers and permissions are the subclasses'.
    """

    settings = SETTINGS
    content_negotiation_class = ContentNegotiation
    metadata_class = SimpleMetadata
    # No method takes a body.
    parser_classes: list[Any] = []
    # In no schema but ours (`api/openapi`): a host's own generator could not describe these views,
    # and drf-spectacular's part of `check --deploy` would warn of each.
    schema: Any = None
    throttle_classes: list[Any] = []
    versioning_class = None
    token_authenticators: ClassVar[tuple[type[BaseAuthentication], ...]] = (
        RocketChatTokenAuthentication,
        BearerAuthentication,
    )

    def get_authenticators(self) -> list[BaseAuthentication]:
        others = [
            authenticator
            for authenticator in super().get_authenticators()
            if not isinstance(authenticator, self.token_authenticators)
        ]
        return [*(authenticator() for authenticator in self.token_authenticators), *others]

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except DataError:
            # The database rejects the name, as PostgreSQL rejects a NUL in Basic credentials.
            raise AuthenticationFailed from None
