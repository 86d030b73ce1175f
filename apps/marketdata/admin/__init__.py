"""Market data in the admin: one module per subject, imported here so that Django finds them."""

from apps.marketdata.admin import archive, corporate_actions, features, instruments, quality, status, subscriptions, universes, vendors, watchlists

__all__ = ["archive", "corporate_actions", "features", "instruments", "quality", "status", "subscriptions", "universes", "vendors", "watchlists"]
