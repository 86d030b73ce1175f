"""Portfolios in the admin: who sees what is edited there, with history; the ledger and what follows from it are to look at."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnly, ReadOnlyAdmin
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.portfolios.models import (
    BookingRequest,
    BorrowRate,
    CashBalance,
    LedgerEntry,
    LotClosure,
    Portfolio,
    PortfolioMembership,
    Position,
    RebalanceEvent,
    RebalanceProposal,
    RebalanceTrade,
    TargetPlan,
    TargetWeight,
)
from apps.portfolios.services.borrow import borrow_rate_set


class PortfolioMembershipInline(admin.TabularInline):
    model = PortfolioMembership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Portfolio)
class PortfolioAdmin(SimpleHistoryAdmin):
    """Opened through the service only, which also pays in the capital; closed rather than deleted."""

    list_display = ("name", "base_currency", "benchmark_symbol", "status", "created_at")
    list_filter = ("status", "base_currency")
    search_fields = ("name",)
    readonly_fields = ("base_currency", "lot_method", "status", "created_at")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Memberships, where the admin can look up users."""
        return [PortfolioMembershipInline] if "core.user" in {model._meta.label_lower for model in self.admin_site._registry} else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PortfolioMembership)
class PortfolioMembershipAdmin(SimpleHistoryAdmin):
    list_display = ("portfolio", "user", "role")
    list_filter = ("role", "portfolio")
    list_select_related = ("portfolio", "user")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "effective_at", "portfolio", "book", "kind", "instrument", "quantity", "price", "amount", "fee", "source", "source_ref")
    list_filter = ("kind", "portfolio", "source")
    list_select_related = ("portfolio", "book__portfolio", "instrument")
    search_fields = ("source_ref", "instrument__symbol")
    date_hierarchy = "effective_at"


@admin.register(BookingRequest)
class BookingRequestAdmin(ReadOnlyAdmin):
    """Bookings by hand, with both people: asked for and decided on the portfolio's page, by REST or by `manage.py book`."""

    list_display = ("id", "requested_at", "portfolio", "terms", "state", "requested_by", "decided_by", "decided_at", "reason")
    list_filter = ("state", "kind", "portfolio")
    list_select_related = ("portfolio", "instrument", "to_book__portfolio", "requested_by", "decided_by")
    search_fields = ("reason", "requested_by__username")
    date_hierarchy = "requested_at"


class BorrowRateForm(forms.ModelForm):
    """A new rate. The service that stores it is asked here, so that what it refuses is said beside the field."""

    user: Any = None

    class Meta:
        model = BorrowRate
        fields = ("instrument", "portfolio", "annual_rate", "from_session", "reason")

    def clean(self) -> dict[str, Any]:
        """Enter the rate once everything else is right."""
        data = dict(super().clean() or {})
        if self.errors:
            return data
        terms = {"annual_rate": data["annual_rate"], "from_session": data["from_session"], "reason": data["reason"]}
        portfolio_id = data["portfolio"].pk if data["portfolio"] else None
        try:
            self.instance = borrow_rate_set(symbol=data["instrument"].symbol, portfolio_id=portfolio_id, user=self.user, at=now(), **terms)
        except DeskError as error:
            raise forms.ValidationError({error.field if error.field in self.fields else NON_FIELD_ERRORS: str(error)}) from error
        return data

    def _post_clean(self) -> None:
        """The stored rate is what is shown: the model's own validation has nothing to add."""


@admin.register(BorrowRate)
class BorrowRateAdmin(admin.ModelAdmin):
    """What borrowed shares cost. Another rate is another row."""

    form = BorrowRateForm
    list_display = ("id", "instrument", "portfolio", "annual_rate", "from_session", "reason", "created_by", "recorded_at")
    list_filter = ("portfolio",)
    list_select_related = ("instrument", "portfolio", "created_by")
    raw_id_fields = ("instrument",)
    search_fields = ("instrument__symbol", "reason")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a rate is never edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form knows who asks."""
        made = super().get_form(request, obj, change=change, **kwargs)
        return type(made.__name__, (made,), {"user": request.user})

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        """The form has stored it."""


@admin.register(LotClosure)
class LotClosureAdmin(ReadOnlyAdmin):
    list_display = ("id", "lot", "entry", "quantity", "cost", "proceeds", "realised")
    list_select_related = ("lot__instrument", "entry")


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = ("book", "instrument", "quantity", "cost", "realised", "last_entry_id")
    list_filter = ("book__portfolio",)
    list_select_related = ("book__portfolio", "instrument")
    search_fields = ("instrument__symbol",)


@admin.register(CashBalance)
class CashBalanceAdmin(ReadOnlyAdmin):
    list_display = ("portfolio", "currency", "amount", "last_entry_id")
    list_select_related = ("portfolio",)


class TargetWeightInline(ReadOnly, admin.TabularInline):
    model = TargetWeight
    extra = 0


@admin.register(TargetPlan)
class TargetPlanAdmin(ReadOnlyAdmin):
    """Every plan that was ever set: its history is the list itself, since a change is a new plan. Set on the portfolio's page or by REST."""

    list_display = (
        "portfolio",
        "effective_on",
        "reason",
        "drift_threshold",
        "band",
        "drift_check",
        "schedule",
        "stop_loss",
        "created_by",
        "recorded_at",
    )
    list_filter = ("portfolio", "stop_loss")
    list_select_related = ("portfolio", "created_by")
    search_fields = ("reason",)
    date_hierarchy = "effective_on"
    inlines = (TargetWeightInline,)


class RebalanceTradeInline(ReadOnly, admin.TabularInline):
    model = RebalanceTrade
    extra = 0


class RebalanceEventInline(ReadOnly, admin.TabularInline):
    model = RebalanceEvent
    extra = 0


@admin.register(RebalanceProposal)
class RebalanceProposalAdmin(ReadOnlyAdmin):
    list_display = ("id", "portfolio", "session", "reason", "equity", "max_drift", "turnover", "estimated_cost", "created_by", "recorded_at")
    list_filter = ("reason", "portfolio")
    list_select_related = ("portfolio", "created_by")
    date_hierarchy = "session"
    inlines = (RebalanceTradeInline, RebalanceEventInline)


@admin.register(RebalanceEvent)
class RebalanceEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "portfolio", "proposal", "date", "reason", "status", "max_drift", "num_trades", "total_cost", "user", "recorded_at")
    list_filter = ("status", "reason", "portfolio")
    list_select_related = ("portfolio", "proposal__portfolio", "user")
    date_hierarchy = "date"
