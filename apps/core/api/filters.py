"""Query parameters: a misspelt filter must not answer with everything."""

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

#: Parameters that Django REST framework itself reads.
FRAMEWORK_PARAMETERS = frozenset({"format"})


class StrictFilterBackend(DjangoFilterBackend):
    """django-filter's backend that answers 400 to a query parameter which neither the filters, nor the pages, nor the view know.

    A view names parameters of its own in `query_parameters`.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        """The filtered rows. Raises ValidationError for unknown parameters and for values that a filter refuses."""
        filterset = self.get_filterset_class(view, queryset)
        known = set(filterset.base_filters) if filterset else set()
        refuse_unknown_parameters(request, known | page_parameters(view) | set(getattr(view, "query_parameters", ())))
        filtered: QuerySet = super().filter_queryset(request, queryset, view)
        return filtered


def page_parameters(view: Any) -> set[str]:
    """Names of the parameters of the view's pagination."""
    paginator = getattr(view, "paginator", None)
    names = (getattr(paginator, name, None) for name in ("cursor_query_param", "page_query_param", "page_size_query_param"))
    return {name for name in names if name}


def refuse_unknown_parameters(request: Request, known: set[str]) -> None:
    """Raise ValidationError naming each query parameter that is not known."""
    unknown = set(request.query_params) - known - FRAMEWORK_PARAMETERS
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise ValidationError({name: [ErrorDetail(f"Unknown query parameter. Known are: {names}.", code="unknown_parameter")] for name in unknown})
