"""Market data in the admin: one module per subject, imported here so that Django finds them."""

from apps.marketdata.admin import corporate_actions, instruments, vendors

__all__ = ["corporate_actions", "instruments", "vendors"]
