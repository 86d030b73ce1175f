"""Cursor pages, newest first: `?cursor=&limit=` (50, at most 500) -> {results, next, previous}."""

from rest_framework.pagination import CursorPagination


class RecordedOrder(CursorPagination):
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500
    ordering = "-pk"
