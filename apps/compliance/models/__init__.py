from apps.compliance.models.restrictions import Restriction, RestrictionLevel

__all__ = ["Restriction", "RestrictionLevel"]
