"""A vendor's row becomes its adapter, which reads keys and addresses from the settings and sends every request through the guard."""

from collections.abc import Callable

from django.conf import settings

from apps.marketdata.models import Vendor
from apps.marketdata.providers.protocol import Provider
from apps.marketdata.providers.registry import provider_make
from apps.marketdata.services.vendors.guard import VendorGuard

#: How a fetch comes to its providers; tests give their own.
Make = Callable[[Vendor, VendorGuard], Provider]


def provider_of(vendor: Vendor, guard: VendorGuard) -> Provider:
    """The vendor's adapter. It opens no connection yet. Raises InvalidInput when no adapter has the vendor's name."""
    return provider_make(vendor.name, settings=settings.VENDORS, guard=guard)
