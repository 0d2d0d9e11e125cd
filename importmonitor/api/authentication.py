"""Credentials: an API token in Rocket.Chat's two headers, or as a bearer's."""

import re
from typing import TYPE_CHECKING, ClassVar

from django.db import DataError
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.views import APIView

from importmonitor.api.throttling import WrongTokenThrottle
from importmonitor.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: A token of ours by its form. What else a bearer may carry is for the host's own authenticators.
_OURS = re.compile(r"Bearer +([0-9a-f]{12}[\w-]{43})", re.ASCII | re.IGNORECASE)


class RocketChatTokenAuthentication(BaseAuthentication):
    """`X-User-Id` (the Django user's id) and `X-Auth-Token` (one of that user's API tokens)."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> "tuple[User, ApiToken] | None":
        """Return the user and the token, or None if the request holds neither header.

        Raises AuthenticationFailed if they are not, or no longer, good, and Throttled after too
        many such.
        """
        user_id = request.headers.get("X-User-Id")
        text = request.headers.get("X-Auth-Token")
        if user_id is None and text is None:
            return None
        return _user_of(request, ApiToken.objects.authenticate(text or "", user_id or ""))

    def authenticate_header(self, request: Request) -> str:
        # With one DRF answers 401, and no browser knows this one and asks for a password.
        return "X-Auth-Token"


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer` and an API token, for what can send no headers of its own."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> "tuple[User, ApiToken] | None":
        """Return the user and the token, or None if the request holds none of ours.

        Raises what RocketChatTokenAuthentication raises.
        """
        found = _OURS.fullmatch(request.headers.get("Authorization", ""))
        if found is None:
            return None
        return _user_of(request, ApiToken.objects.authenticate(found[1]))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _user_of(request: Request, token: ApiToken | None) -> "tuple[User, ApiToken]":
    if token is None:
        WrongTokenThrottle().refuse(request)
        raise AssertionError("refuse() has raised")
    token.record_use()
    return token.user, token


class TokenView(APIView):
    """Takes API tokens, or whatever else the host lets in to its own API."""

    tokens: ClassVar[tuple[type[BaseAuthentication], ...]] = (
        RocketChatTokenAuthentication,
        BearerAuthentication,
    )

    def get_authenticators(self) -> list[BaseAuthentication]:
        others = [
            each for each in super().get_authenticators() if not isinstance(each, self.tokens)
        ]
        return [*(each() for each in self.tokens), *others]

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except DataError:
            # A name that no database can look for, as in Basic credentials with a NUL in them.
            raise AuthenticationFailed from None
