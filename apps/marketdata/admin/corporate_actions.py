"""Splits and dividends in the admin: every revision to read, and an operator's decision about the newest."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ReadOnlyAdmin
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.marketdata.admin.vendors import ReasonActionForm
from apps.marketdata.models import CorporateAction
from apps.marketdata.selectors.corporate_actions import Action
from apps.marketdata.services.corporate_actions import PERMISSION, action_release, action_withdraw


@admin.register(CorporateAction)
class CorporateActionAdmin(ReadOnlyAdmin):
    """Facts; a decision adds a revision with the decider and the reason."""

    action_form = ReasonActionForm
    list_display = (
        "instrument",
        "kind",
        "ex_date",
        "value",
        "currency",
        "revision",
        "status",
        "doubt",
        "reason",
        "source",
        "decided_by",
        "recorded_at",
    )
    list_filter = ("status", "doubt", "kind", "source")
    list_select_related = ("instrument", "source", "decided_by")
    search_fields = ("instrument__symbol", "reason")
    date_hierarchy = "ex_date"
    ordering = ("-ex_date", "instrument", "kind", "-revision")
    actions = ("release", "withdraw")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may decide."""
        return request.user.has_perm(PERMISSION)

    @admin.action(description="Release: apply it although the bars do not bear it out", permissions=["decide"])
    def release(self, request: HttpRequest, chosen: QuerySet[CorporateAction]) -> None:
        """Apply the chosen actions."""
        self._decide(request, chosen, action_release)

    @admin.action(description="Withdraw: it never happened", permissions=["decide"])
    def withdraw(self, request: HttpRequest, chosen: QuerySet[CorporateAction]) -> None:
        """Take the chosen actions out of all prices."""
        self._decide(request, chosen, action_withdraw)

    def _decide(self, request: HttpRequest, chosen: QuerySet[CorporateAction], decide: Callable[..., Action]) -> None:
        for row in chosen:
            try:
                done = decide(action_id=row.pk, reason=request.POST.get("reason", ""), user=request.user, recorded_at=now())
                self.message_user(request, f"{row} is {done.status}.")
            except DeskError as error:
                self.message_user(request, f"{row}: {error.detail}", messages.ERROR)
