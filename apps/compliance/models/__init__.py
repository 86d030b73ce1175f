from apps.compliance.models.restrictions import Restriction, RestrictionLevel
from apps.compliance.models.short_sales import Locate, LocateUse, ShortSaleRestriction

__all__ = ["Locate", "LocateUse", "Restriction", "RestrictionLevel", "ShortSaleRestriction"]
