"""Pages: by cursor for what grows (orders, fills, bars, the journal), by number for catalogues. `limit` is 50, at most 500."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


def _limit(request: Request) -> int:
    text = request.query_params.get("limit")
    if text is None:
        return PAGE_SIZE
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PAGE_SIZE):
        raise ValidationError({"limit": [f"Must be a whole number from 1 to {MAX_PAGE_SIZE}."]})
    return int(text)


class RecordedOrder(CursorPagination):
    """Newest first: `?cursor=&limit=` -> {results, next, previous}. Subclasses with another key set `ordering`."""

    page_size_query_param = "limit"
    max_page_size = MAX_PAGE_SIZE
    ordering = "-pk"

    def get_page_size(self, request: Request) -> int:
        """The limit, refused rather than cut when it is out of range."""
        return _limit(request)


class CatalogueOrder(PageNumberPagination):
    """Numbered pages: `?page=&limit=` -> {count, next, previous, results}."""

    page_size_query_param = "limit"
    max_page_size = MAX_PAGE_SIZE

    def get_page_size(self, request: Request) -> int:
        """The limit, refused rather than cut when it is out of range."""
        return _limit(request)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """One page, in a fixed order."""
        unordered = isinstance(queryset, QuerySet) and not queryset.ordered
        return super().paginate_queryset(queryset.order_by("pk") if unordered else queryset, request, view)
