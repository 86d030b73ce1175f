"""Standing orders for data in the admin, and their runs."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnlyAdmin
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.forms import FreshReasonForm
from apps.marketdata.domain.calendars import calendar_of
from apps.marketdata.models import Subscription, SubscriptionRun
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.subscriptions import last_runs, schedule_of
from apps.marketdata.selectors.vendors import vendor_get
from apps.marketdata.services.fetching import AUTO


class SubscriptionForm(FreshReasonForm):
    """What people edit. Names that the desk does not know are refused here, not in the night."""

    class Meta:
        model = Subscription
        fields = ("name", "provider", "symbols", "timeframe", "lookback_days", "schedule", "minutes", "calendar", "enabled", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80}), "symbols": forms.Textarea(attrs={"rows": 3, "cols": 80})}

    def clean(self) -> dict[str, Any]:
        """Vendor, symbols and calendar exist."""
        given = super().clean() or self.cleaned_data
        self._known("provider", lambda: given["provider"] == AUTO or vendor_get(given["provider"]))
        self._known("symbols", lambda: instruments_get(given["symbols"]))
        self._known("calendar", lambda: calendar_of(given["calendar"]))
        return given

    def _known(self, field: str, look: Any) -> None:
        if field not in self.cleaned_data:
            return
        try:
            look()
        except DeskError as error:
            self.add_error(field, error.detail)


@admin.register(Subscription)
class SubscriptionAdmin(SimpleHistoryAdmin):
    form = SubscriptionForm
    list_display = ("name", "enabled", "last_run", "next_slot", "provider", "timeframe", "schedule", "minutes")
    search_fields = ("name", "symbols")
    history_list_display = ("provider", "timeframe", "schedule", "minutes", "enabled", "reason")
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        """Subscriptions; their last runs are read once for the whole list."""
        self._runs = last_runs()
        return super().get_queryset(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: its runs stay. Take `enabled` away instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Subscription, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)

    @admin.display(description="next slot (UTC)")
    def next_slot(self, item: Subscription) -> str:
        """When it is due next."""
        return f"{schedule_of(item).following(now()):%Y-%m-%d %H:%M}" if item.enabled else "—"

    @admin.display(description="last run")
    def last_run(self, item: Subscription) -> str:
        """How the last run went, and what it was for."""
        run = self._runs.get(item.pk)
        return f"{run.outcome} for {run.slot:%Y-%m-%d %H:%M}: {run.inserted} new, {run.revised} revised {run.detail}".strip() if run else "never"


@admin.register(SubscriptionRun)
class SubscriptionRunAdmin(ReadOnlyAdmin):
    """What came of each run, newest first."""

    list_display = ("slot", "subscription", "attempt", "outcome", "inserted", "revised", "failed", "detail", "started_at", "finished_at")
    list_filter = ("outcome", "subscription")
    list_select_related = ("subscription",)
    ordering = ("-slot", "-attempt")
