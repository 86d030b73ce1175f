"""Authentication that also tells the journal who is acting: a JWT is read only after the middleware has run."""

from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from apps.core.context import current_context, set_actor

#: The claim that names the user: whoever asks for the user's row says at once on whose behalf.
NAME_CLAIM = "username"


class JWTActor(JWTAuthentication):
    """`Authorization: Bearer <access token>`."""

    def authenticate(self, request: Request) -> Any:
        """The user and the token, None without a token. Everything that the request writes is journalled under the user."""
        found = super().authenticate(request)
        if found is not None:
            set_actor(f"user:{found[0].get_username()}")
        return found

    def get_user(self, validated_token: Token) -> Any:
        """The user as the database has them now. Raises AuthenticationFailed, and then nobody acts."""
        before = current_context().actor
        if name := validated_token.get(NAME_CLAIM):
            set_actor(f"user:{name}")
        try:
            return super().get_user(validated_token)
        except BaseException:
            set_actor(before)
            raise


class SessionActor(SessionAuthentication):
    """The session of the pages, with its CSRF token."""

    def authenticate(self, request: Request) -> Any:
        """The user and None, None without a session."""
        found = super().authenticate(request)
        if found is not None:
            set_actor(f"user:{found[0].get_username()}")
        return found

    def authenticate_header(self, request: Request) -> str:
        """Named, so that a request without credentials is answered 401 and not 403."""
        return "Session"
