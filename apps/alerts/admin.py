"""Alerts in the admin: to look at. They are facts, so nobody changes them there."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.alerts.models import Alert, AlertReceipt


class ReadOnly:
    """Mixin for what is a fact: rows are shown, and neither added, changed nor deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AlertReceiptInline(ReadOnly, admin.TabularInline):
    model = AlertReceipt
    extra = 0


@admin.register(Alert)
class AlertAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "recorded_at", "severity", "code", "title", "subject")
    list_filter = ("severity", "code")
    search_fields = ("title", "detail", "subject")
    date_hierarchy = "recorded_at"
    inlines = (AlertReceiptInline,)
