"""Bookings by hand that were asked for, open and decided."""

from django.db.models import Q, QuerySet

from apps.portfolios.models import BookingRequest


def bookings_of(portfolio_id: int) -> QuerySet[BookingRequest]:
    """Those in which the portfolio gives or takes, newest first."""
    concerned = Q(portfolio_id=portfolio_id) | Q(to_book__portfolio_id=portfolio_id)
    related = ("portfolio", "book__portfolio", "to_book__portfolio", "instrument", "requested_by", "decided_by")
    return BookingRequest.objects.filter(concerned).select_related(*related).order_by("-id")
