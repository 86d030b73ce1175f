"""The desk's side of its vendors: pace, retries, breaker, incidents, and the guard that adapters send every request through."""

from apps.marketdata.services.vendors.breaker import BreakerOpen
from apps.marketdata.services.vendors.control import vendor_force, vendors_synchronise
from apps.marketdata.services.vendors.guard import VendorGuard, vendor_guard
from apps.marketdata.services.vendors.incidents import incident_record

__all__ = ["BreakerOpen", "VendorGuard", "incident_record", "vendor_force", "vendor_guard", "vendors_synchronise"]
