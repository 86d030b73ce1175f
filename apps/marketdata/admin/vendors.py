"""Vendors in the admin: their pace, the state of their breakers, and an operator's hand on them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnlyAdmin
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.forms import FreshReasonForm
from apps.core.models import User
from apps.marketdata.models import Forced, Vendor, VendorIncident
from apps.marketdata.selectors.vendors import breaker_state
from apps.marketdata.services.vendors import vendor_force


class VendorForm(FreshReasonForm):
    """What people edit. The breaker is forced by the actions of the list, which tell all processes."""

    class Meta:
        model = Vendor
        fields = ("rate", "burst", "priority", "enabled", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 2, "cols": 80})}


class ReasonActionForm(ActionForm):
    """The list's actions ask why."""

    reason = forms.CharField(required=False, max_length=500, label="why")


@admin.register(Vendor)
class VendorAdmin(SimpleHistoryAdmin):
    form = VendorForm
    action_form = ReasonActionForm
    list_display = ("name", "breaker", "enabled", "priority", "pace", "burst", "reason")
    history_list_display = ("rate", "burst", "priority", "enabled", "forced", "reason")
    ordering = ("priority", "name")
    actions = ("force_open", "force_closed", "release")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: a vendor comes with its adapter."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: take `enabled` away instead."""
        return False

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Who may force a breaker."""
        return request.user.has_perm("marketdata.control_vendor")

    def save_model(self, request: HttpRequest, obj: Vendor, form: forms.ModelForm, change: bool) -> None:
        """The reason goes into the history row too."""
        obj._change_reason = obj.reason[:100]
        super().save_model(request, obj, form, change)

    @admin.display(description="breaker")
    def breaker(self, vendor: Vendor) -> str:
        """Its state as all processes see it now."""
        return breaker_state(vendor).replace("_", " ")

    @admin.display(description="requests a second", ordering="rate")
    def pace(self, vendor: Vendor) -> str:
        """The rate in as many digits as anybody reads."""
        return f"{round(vendor.rate, 4):g}"

    @admin.action(description="Force the breaker open: do not ask the vendor", permissions=["control"])
    def force_open(self, request: HttpRequest, chosen: QuerySet[Vendor]) -> None:
        """Stop asking the chosen vendors."""
        self._force(request, chosen, Forced.OPEN)

    @admin.action(description="Force the breaker closed: ask the vendor whatever happens", permissions=["control"])
    def force_closed(self, request: HttpRequest, chosen: QuerySet[Vendor]) -> None:
        """Ask the chosen vendors even when they fail."""
        self._force(request, chosen, Forced.CLOSED)

    @admin.action(description="Release the breaker: automatic again", permissions=["control"])
    def release(self, request: HttpRequest, chosen: QuerySet[Vendor]) -> None:
        """Leave the chosen vendors to their breakers again."""
        self._force(request, chosen, Forced.NO)

    def _force(self, request: HttpRequest, chosen: QuerySet[Vendor], forced: Forced) -> None:
        user = request.user if isinstance(request.user, User) else None
        for vendor in chosen:
            try:
                vendor_force(
                    name=vendor.name,
                    forced=forced,
                    reason=request.POST.get("reason", ""),
                    by=f"user:{request.user.get_username()}",
                    user=user,
                    at=now(),
                )
            except DeskError as error:
                self.message_user(request, f"{vendor}: {error.detail}", messages.ERROR)
            else:
                self.message_user(request, f"{vendor}: {forced.label}", messages.SUCCESS)


@admin.register(VendorIncident)
class VendorIncidentAdmin(ReadOnlyAdmin):
    """What went wrong, newest first."""

    list_display = ("occurred_at", "vendor", "kind", "symbol", "detail")
    list_filter = ("vendor", "kind")
    search_fields = ("symbol", "detail")
    date_hierarchy = "occurred_at"
    ordering = ("-occurred_at", "-pk")
