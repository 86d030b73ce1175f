"""Sectors of instruments."""

from enum import StrEnum


class Sector(StrEnum):
    """The eleven sectors of the Global Industry Classification Standard, and two that say why an instrument has none of them."""

    COMMUNICATION_SERVICES = "communication_services"
    CONSUMER_DISCRETIONARY = "consumer_discretionary"
    CONSUMER_STAPLES = "consumer_staples"
    ENERGY = "energy"
    FINANCIALS = "financials"
    HEALTH_CARE = "health_care"
    INDUSTRIALS = "industrials"
    INFORMATION_TECHNOLOGY = "information_technology"
    MATERIALS = "materials"
    REAL_ESTATE = "real_estate"
    UTILITIES = "utilities"
    DIVERSIFIED = "diversified"  # a fund or an index of several
    UNKNOWN = "unknown"  # counts as a sector of its own

    @property
    def label(self) -> str:
        return self.value.replace("_", " ").capitalize()


SECTOR_CHOICES = [(sector.value, sector.label) for sector in Sector]
