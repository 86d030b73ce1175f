"""REST of the daily reports: what there is, and the documents themselves."""

from datetime import date

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.users import desk_user
from apps.core.errors import NotFound
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.risk.selectors.reports import report_content, reports_stored

TYPES = {"html": "text/html; charset=utf-8", "pdf": "application/pdf"}


class ReportSerializer(serializers.Serializer):
    """A report in one form; `sha256` is that of its bytes, `size` their number."""

    session = serializers.DateField()
    form = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    market_time = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()


class ReportsView(APIView):
    """The daily reports of one portfolio."""

    @extend_schema(responses=ReportSerializer(many=True), operation_id="portfolio_reports_list")
    def get(self, request: Request, portfolio_id: int) -> Response:
        """The newest fifty, newest first."""
        refuse_unknown_parameters(request, set())
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        return Response(ReportSerializer(reports_stored(portfolio_id), many=True).data)


class ReportFileView(APIView):
    """One document."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}, operation_id="portfolio_report_retrieve")
    def get(self, request: Request, portfolio_id: int, session: str, form: str) -> HttpResponse:
        """The report of a session as it was made, `form` html or pdf; its fingerprint is the ETag."""
        refuse_unknown_parameters(request, set())
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        try:
            day = date.fromisoformat(session)
        except ValueError as error:
            raise NotFound(f"{session!r} is no session") from error
        content, fingerprint = report_content(portfolio_id, day, form)
        answer = HttpResponse(content, content_type=TYPES[form])
        answer["Content-Disposition"] = f'attachment; filename="risk-{portfolio_id}-{day}.{form}"'
        answer["ETag"] = f'"{fingerprint}"'
        return answer
