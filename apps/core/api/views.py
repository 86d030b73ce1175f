"""REST of core: tokens, jobs, measures, and what problem codes mean."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from apps.core import clock
from apps.core.api.authentication import NAME_CLAIM
from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.problems import problem_codes
from apps.core.api.serializers import _RefusesUnknownFields
from apps.core.api.users import desk_user
from apps.core.jobs import job_as_dict, job_cancel
from apps.core.measures import measures
from apps.core.models import JobRun


class LoginThrottle(SimpleRateThrottle):
    """Thirty tokens a minute from one address."""

    scope = "token"
    rate = "30/min"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """The address that the request came from."""
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class StrictTokenSerializer(_RefusesUnknownFields, TokenObtainPairSerializer):
    """{username, password} -> {access, refresh}."""

    @classmethod
    def get_token(cls, user: Any) -> Any:
        """A refresh token which names the user, as the access tokens made of it will."""
        token = super().get_token(user)
        token[NAME_CLAIM] = user.get_username()
        return token


class StrictRefreshSerializer(_RefusesUnknownFields, TokenRefreshSerializer):
    """{refresh} -> {access, refresh}."""


class TokenView(TokenObtainPairView):
    """Take a username and a password, and answer with an access token (15 minutes) and a refresh token (12 hours)."""

    serializer_class = StrictTokenSerializer
    throttle_classes = [LoginThrottle]


class RefreshView(TokenRefreshView):
    """Take a refresh token, and answer with new tokens. The old refresh token is spent."""

    serializer_class = StrictRefreshSerializer
    throttle_classes = [LoginThrottle]


class JobSerializer(serializers.Serializer):
    """A run of long work. `progress` is a fraction, null while the total is unknown."""

    id = serializers.IntegerField()
    job = serializers.CharField()
    state = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    progress = serializers.FloatField(allow_null=True)
    message = serializers.CharField()
    result = serializers.JSONField(allow_null=True)
    error = serializers.CharField()
    parameters = serializers.JSONField()
    scheduled_for = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    cancel_requested = serializers.BooleanField()

    def to_representation(self, instance: JobRun) -> dict[str, Any]:
        """The same fields as on the streams."""
        return super().to_representation(job_as_dict(instance))


class JobViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Jobs that the user asked for; all of them for operators."""

    serializer_class = JobSerializer
    filter_backends = [StrictFilterBackend]
    filterset_fields = ["job", "state"]
    queryset = JobRun.objects.none()

    def get_queryset(self) -> "QuerySet[JobRun]":
        """Others' jobs do not exist for those who may not see them."""
        user = desk_user(self.request)
        if user.has_perm("core.view_jobrun"):
            return JobRun.objects.all()
        return JobRun.objects.filter(requested_by_id=user.pk)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str | None = None) -> Response:
        """Ask a run to stop after its current item."""
        run = job_cancel(job_run_id=self.get_object().pk, at=clock.now())
        return Response(JobSerializer(run).data)


class MeasureSerializer(serializers.Serializer):
    """How a number is computed."""

    name = serializers.CharField()
    parameters = serializers.ListField(child=serializers.DictField())
    units = serializers.CharField()
    convention = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()


class MeasuresView(APIView):
    """The register of measures."""

    @extend_schema(responses=MeasureSerializer(many=True), operation_id="measures_list")
    def get(self, request: Request) -> Response:
        """All measures by name."""
        refuse_unknown_parameters(request, set())
        found = [measure.as_dict() for measure in measures().values()]
        return Response(MeasureSerializer(found, many=True).data)


class ProblemCodeSerializer(serializers.Serializer):
    """What a problem's code means."""

    code = serializers.CharField()
    status = serializers.IntegerField()
    title = serializers.CharField()
    detail = serializers.CharField()


class ProblemCodeView(APIView):
    """Where the `type` of a problem leads to."""

    permission_classes = [AllowAny]

    @extend_schema(responses=ProblemCodeSerializer)
    def get(self, request: Request, code: str) -> Response:
        """The meaning of one code."""
        known = problem_codes().get(code)
        if known is None:
            raise Http404(f"no problem has the code {code}")
        return Response(ProblemCodeSerializer(known).data)
