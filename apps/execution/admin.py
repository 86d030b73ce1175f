"""Orders, fills and accounts for compliance officers and auditors: everything to read, nothing to write."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnly, ReadOnlyAdmin
from apps.core.clock import now
from apps.execution.brokers.paper import PAPER
from apps.execution.models import (
    AlgoOrder,
    BreakResolution,
    BrokerageAccount,
    BrokerRequest,
    EngineCycle,
    EngineDecision,
    EngineEvent,
    EngineStep,
    Fill,
    LiveApproval,
    Order,
    OrderDecision,
    OrderEvent,
    OrderGroup,
    OrderProtection,
    ReconciliationBreak,
    ReconciliationRun,
    RoutingDecision,
    TradingEngine,
    Venue,
)
from apps.execution.services.accounts import TERMS, account_save
from apps.execution.services.reconciliation import break_resolve

#: What an operator may change of an account: of a paper account how it fills, of another what its trades are expected to cost.
PAPER_SETTINGS = ("slippage_bps", "commission", "displayed_share", "latency_ms", "reject_share", "reject_seed")
ESTIMATES = ("slippage_bps", "commission", "commission_per_share", "commission_cap")


class OrderEventInline(ReadOnly, admin.TabularInline):
    """The order's life."""

    model = OrderEvent
    fields = ("occurred_at", "kind", "from_status", "to_status", "source", "data")
    extra = 0


class OrderDecisionInline(ReadOnly, admin.TabularInline):
    """What the gate said."""

    model = OrderDecision
    fields = ("authority", "allowed", "checks", "decided_at", "expires_at")
    extra = 0


class FillInline(ReadOnly, admin.TabularInline):
    """What traded."""

    model = Fill
    fields = ("execution_id", "quantity", "price", "fee", "market_time", "executed_at")
    extra = 0


@admin.register(Order)
class OrderAdmin(ReadOnly, SimpleHistoryAdmin):
    """All orders with their history."""

    list_display = (
        "id",
        "created_at",
        "portfolio",
        "instrument",
        "side",
        "quantity",
        "order_type",
        "status",
        "average_price",
        "created_by",
        "reason",
    )
    list_filter = ("status", "side", "order_type", "strategy")
    list_select_related = ("portfolio", "instrument", "created_by")
    search_fields = ("=id", "=client_order_id", "=instrument__symbol", "portfolio__name")
    search_help_text = "Order number, client order id, symbol or portfolio"
    date_hierarchy = "created_at"
    ordering = ("-id",)
    inlines = (OrderEventInline, OrderDecisionInline, FillInline)


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    """All executions."""

    list_display = ("id", "executed_at", "order", "broker", "execution_id", "quantity", "price", "fee")
    list_select_related = ("order__instrument",)
    search_fields = ("=execution_id", "=order__instrument__symbol")
    ordering = ("-id",)


@admin.register(BrokerRequest)
class BrokerRequestAdmin(ReadOnlyAdmin):
    """What a broker's process was about to send, and under which id."""

    list_display = ("id", "attempted_at", "kind", "event", "gateway", "client_id", "broker_order_id")
    list_select_related = ("event",)
    search_fields = ("=event__order__id", "=broker_order_id")
    ordering = ("-id",)


class AccountForm(forms.ModelForm):
    """What of an account may change, with a reason that its history keeps."""

    reason = forms.CharField(max_length=100, help_text="Why this change")


@admin.register(BrokerageAccount)
class BrokerageAccountAdmin(SimpleHistoryAdmin):
    """Where orders go, in which mode, how it fills and what it costs, and which day-trading rules hold there.

    An operator keeps how a paper account fills and what others are expected to cost, compliance the day-trading rules; nothing else changes.
    """

    form = AccountForm
    list_display = ("number", "portfolio", "broker", "mode", "account_type", "day_trading_regime", "slippage_bps", "commission", "displayed_share")
    list_filter = ("account_type", "day_trading_regime")
    list_select_related = ("portfolio",)
    history_list_display = ("account_type", "day_trading_regime", "regime_confirmed_with_broker_on", "house_rule")

    def _editable(self, request: HttpRequest, account: BrokerageAccount | None) -> tuple[str, ...]:
        settings = PAPER_SETTINGS if account is not None and account.broker == PAPER else ESTIMATES
        kept = settings if request.user.has_perm("execution.change_brokerageaccount") else ()
        return (*kept, *(TERMS if request.user.has_perm("execution.change_account_terms") else ()))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything, and the reason where something may change."""
        columns = tuple(field.name for field in BrokerageAccount._meta.fields if field.editable and not field.primary_key)
        return (*columns, "reason") if self._editable(request, obj) else columns

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All that says where orders go, and what is other people's."""
        kept = {*self._editable(request, obj), "reason"}
        return tuple(name for name in self.get_fields(request, obj) if name not in kept)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Operators and compliance, each for their part."""
        return any(request.user.has_perm(f"execution.{name}") for name in ("change_brokerageaccount", "change_account_terms"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Accounts are connected by `manage.py connect_account`."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its orders and books belong to it."""
        return False

    def save_model(self, request: HttpRequest, obj: BrokerageAccount, form: forms.ModelForm, change: bool) -> None:
        """Under the portfolio's lock."""
        account_save(obj, columns=self._editable(request, obj), reason=form.cleaned_data["reason"])


@admin.register(AlgoOrder)
class AlgoOrderAdmin(ReadOnly, SimpleHistoryAdmin):
    """Parent orders with their history."""

    list_display = ("id", "created_at", "algo", "portfolio", "instrument", "side", "quantity", "status", "created_by", "reason")
    list_filter = ("status", "algo", "side")
    list_select_related = ("portfolio", "instrument", "created_by")
    search_fields = ("=id", "=client_order_id", "=instrument__symbol", "portfolio__name")
    ordering = ("-id",)


@admin.register(RoutingDecision)
class RoutingDecisionAdmin(ReadOnlyAdmin):
    """What venues displayed, and who got what: for best execution."""

    list_display = ("id", "recorded_at", "algo", "quantity", "best_bid", "best_ask", "order_protection")
    list_select_related = ("algo__instrument",)
    ordering = ("-id",)


class EngineEventInline(ReadOnly, admin.TabularInline):
    """What people and hosts did with it."""

    model = EngineEvent
    fields = ("recorded_at", "kind", "user", "reason", "token")
    ordering = ("-id",)
    extra = 0


@admin.register(TradingEngine)
class TradingEngineAdmin(ReadOnly, SimpleHistoryAdmin):
    """Live engines with who changed what of them."""

    list_display = ("id", "strategy", "portfolio", "mode", "wanted", "runs_as", "updated_at")
    list_filter = ("mode", "wanted")
    list_select_related = ("portfolio", "runs_as")
    inlines = (EngineEventInline,)


class EngineStepInline(ReadOnly, admin.TabularInline):
    """The eleven steps."""

    model = EngineStep
    fields = ("number", "outcome", "data", "token", "recorded_at")
    ordering = ("number",)
    extra = 0


class EngineDecisionInline(ReadOnly, admin.TabularInline):
    """What it decided to order."""

    model = EngineDecision
    fields = ("purpose", "side", "quantity", "instrument", "client_order_id", "reason")
    extra = 0


@admin.register(EngineCycle)
class EngineCycleAdmin(ReadOnlyAdmin):
    """Cycles that did something, step by step."""

    list_display = ("id", "engine", "number", "trigger", "bar_ts", "market_time", "recorded_at", "token")
    list_filter = ("trigger",)
    list_select_related = ("engine__portfolio",)
    ordering = ("-id",)
    inlines = (EngineStepInline, EngineDecisionInline)


@admin.register(LiveApproval)
class LiveApprovalAdmin(ReadOnlyAdmin):
    """Who let which engine trade live, as it was configured then."""

    list_display = ("id", "engine", "requested_by", "requested_at", "approved_by", "approved_at", "revoked_by", "revoked_at")
    list_select_related = ("engine__portfolio", "requested_by", "approved_by", "revoked_by")
    ordering = ("-id",)


@admin.register(OrderGroup)
class OrderGroupAdmin(ReadOnlyAdmin):
    """Brackets and OCO pairs."""

    list_display = ("id", "created_at", "kind", "portfolio", "instrument", "side", "quantity", "take_profit", "stop_loss", "created_by")
    list_filter = ("kind",)
    list_select_related = ("portfolio", "instrument", "created_by")
    ordering = ("-id",)


@admin.register(Venue)
class VenueAdmin(SimpleHistoryAdmin):
    """Simulated venues: an operator keeps their fees; one that routed before is made inactive, never deleted."""

    list_display = ("name", "taker_fee", "maker_fee", "latency_ms", "active")
    ordering = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


@admin.register(OrderProtection)
class OrderProtectionAdmin(admin.ModelAdmin):
    """From which day the best displayed price comes first. Rows are added, never changed."""

    list_display = ("effective_from", "in_force", "source", "recorded_at")
    fields = ("effective_from", "in_force", "source")
    ordering = ("-effective_from",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False

    def save_model(self, request: HttpRequest, obj: OrderProtection, form: Any, change: bool) -> None:
        """Keep when it was said."""
        obj.recorded_at = now()
        super().save_model(request, obj, form, change)


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    """Every comparison with a broker's books."""

    list_display = ("id", "started_at", "account", "trigger", "state", "open_breaks", "booked_fills", "detail")
    list_filter = ("state", "trigger")
    list_select_related = ("account",)
    ordering = ("-id",)


@admin.register(ReconciliationBreak)
class ReconciliationBreakAdmin(ReadOnlyAdmin):
    """What the desk and a broker disagree in. A resolution is added in its own table."""

    list_display = ("id", "found_at", "account", "kind", "subject", "key", "ours", "theirs", "difference", "halts", "resolution")
    list_filter = (("resolution", admin.EmptyFieldListFilter), "kind", "subject", "halts")
    list_select_related = ("account", "resolution")
    search_fields = ("=key", "=symbol", "account__number")
    ordering = ("-id",)


@admin.register(BreakResolution)
class BreakResolutionAdmin(admin.ModelAdmin):
    """Why breaks may stand. Risk and compliance add them, nobody changes them."""

    list_display = ("id", "resolved_at", "found", "resolved_by", "run", "reason")
    list_select_related = ("found", "resolved_by", "run")
    fields = ("found", "reason")
    raw_id_fields = ("found",)
    ordering = ("-id",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False

    def save_model(self, request: HttpRequest, obj: BreakResolution, form: Any, change: bool) -> None:
        """By the same service as everywhere, which refuses what may not be."""
        found = break_resolve(break_id=obj.found_id, user=request.user, reason=obj.reason, at=now())  # type: ignore[arg-type]
        obj.pk = found.resolution.pk
