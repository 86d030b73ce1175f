"""The OpenAPI document: problems and the Idempotency-Key header at every operation that has them."""

from typing import Any, Literal

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from apps.core.api.idempotency import HEADER, IdempotentMixin
from apps.core.api.problems import CONTENT_TYPE

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="A new UUID with each new request. A repeat with the same key and body gets the stored answer with `Idempotent-Replayed: true`; "
    "another body is answered 422, and a repeat while the first is still at work 409 with `Retry-After`.",
)


class JWTActorScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]
    """How the schema names the bearer token."""

    target_class = "apps.core.api.authentication.JWTActor"


class SessionActorScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """How the schema names the session cookie."""

    target_class = "apps.core.api.authentication.SessionActor"


class ProblemErrorSerializer(serializers.Serializer):
    """One offending input."""

    pointer = serializers.CharField(help_text="JSON pointer into the body; header or query parameter name after the slash otherwise")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemCheckSerializer(serializers.Serializer):
    """One pre-trade check of a refused order, Decimals as strings."""

    code = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["pass", "warn", "block"])
    message = serializers.CharField()
    unit = serializers.CharField(allow_blank=True)
    limit = serializers.CharField(allow_null=True)
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class ProblemSerializer(serializers.Serializer):
    """RFC 9457 problem."""

    type = serializers.CharField(help_text="Address that explains the code")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()
    errors = ProblemErrorSerializer(many=True)  # type: ignore[assignment]
    checks = ProblemCheckSerializer(many=True, required=False)
    retryable = serializers.BooleanField(required=False)


class DeskSchema(AutoSchema):
    """drf-spectacular's inspector, which adds what all endpoints of the desk share."""

    def get_override_parameters(self) -> list[Any]:
        """The Idempotency-Key header where it is required."""
        parameters: list[Any] = super().get_override_parameters()
        handler = getattr(self.view, getattr(self.view, "action", None) or self.method.lower(), None)
        needed = getattr(handler, "idempotent", False) or (isinstance(self.view, IdempotentMixin) and self.method == "POST")
        return [*parameters, IDEMPOTENCY_KEY] if needed else parameters

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        reference = self.resolve_serializer(ProblemSerializer, "response").ref
        bodies["default"] = {"description": "A problem", "content": {CONTENT_TYPE: {"schema": reference}}}
        return bodies


def only_versioned(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Describe each endpoint once: /api/ answers the same as /api/v1/."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]
