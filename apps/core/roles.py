"""Who may do what: six roles, kept as groups with permissions. This table is the one place that says so."""

import logging
from enum import StrEnum
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.models import Group, Permission

from apps.core.context import acting

logger = logging.getLogger(__name__)


class Role(StrEnum):
    """A user may have several. Whose portfolios a user sees is another question: `portfolios.PortfolioMembership`."""

    TRADER = "trader"
    QUANT = "quant"
    RISK = "risk"
    COMPLIANCE = "compliance"
    OPERATOR = "operator"
    AUDITOR = "auditor"


#: Permissions as "app.codename"; "app.*" is every permission of the app, "*.view" the right to look at everything.
PERMISSIONS: dict[Role, tuple[str, ...]] = {
    Role.TRADER: (
        "execution.add_order",
        "execution.change_order",
        "execution.view_order",
        "execution.view_fill",
        "execution.view_brokerrequest",
        "execution.control_engine",
        "execution.view_tradingengine",
        "execution.view_reconciliationrun",
        "execution.view_reconciliationbreak",
        "portfolios.add_portfolio",
        "portfolios.add_bookingrequest",
        "portfolios.view_bookingrequest",
        "portfolios.view_portfolio",
        "portfolios.view_position",
        "strategies.view_backtestrun",
        "marketdata.view_instrument",
        "marketdata.view_qualityfinding",
        "marketdata.view_quarantine",
        "risk.view_risklimit",
        "risk.halt_trading",
        "alerts.view_alert",
    ),
    Role.QUANT: (
        "strategies.add_backtestrun",
        "strategies.view_backtestrun",
        "marketdata.view_instrument",
        "marketdata.view_bar",
        "marketdata.view_vendor",
        "marketdata.fetch_data",
        "marketdata.view_qualityfinding",
        "marketdata.view_quarantine",
        "portfolios.view_portfolio",
        "alerts.view_alert",
    ),
    Role.RISK: (
        "risk.view_risklimit",
        "risk.view_desklimit",
        "risk.add_stressscenario",
        "risk.change_stressscenario",
        "risk.view_stressscenario",
        "risk.add_stressshock",
        "risk.change_stressshock",
        "risk.delete_stressshock",
        "risk.view_stressshock",
        "risk.add_stressexposure",
        "risk.change_stressexposure",
        "risk.delete_stressexposure",
        "risk.view_stressexposure",
        "risk.add_limitchange",
        "risk.view_limitchange",
        "risk.approve_limitchange",
        "risk.view_tradingstatechange",
        "risk.view_releaserequest",
        "risk.view_limitevent",
        "risk.halt_trading",
        "risk.release_trading",
        "portfolios.view_all_portfolios",
        "portfolios.view_portfolio",
        "portfolios.view_position",
        "portfolios.approve_bookingrequest",
        "portfolios.view_bookingrequest",
        "portfolios.add_borrowrate",
        "portfolios.view_borrowrate",
        "execution.approve_order",
        "execution.view_order",
        "execution.view_fill",
        "execution.view_brokerrequest",
        "execution.control_engine",
        "execution.reset_breaker",
        "execution.approve_live",
        "execution.view_tradingengine",
        "execution.view_engineevent",
        "execution.view_enginecycle",
        "execution.view_liveapproval",
        "execution.view_reconciliationrun",
        "execution.view_reconciliationbreak",
        "execution.view_breakresolution",
        "execution.add_breakresolution",
        "strategies.view_backtestrun",
        "marketdata.view_instrument",
        "marketdata.view_qualityfinding",
        "marketdata.view_quarantine",
        "alerts.add_escalationpolicy",
        "alerts.change_escalationpolicy",
        "alerts.view_escalationpolicy",
        "alerts.add_escalationstep",
        "alerts.change_escalationstep",
        "alerts.delete_escalationstep",
        "alerts.view_escalationstep",
        "alerts.view_alertescalation",
        "alerts.view_alertdelivery",
        "alerts.view_alert",
    ),
    Role.COMPLIANCE: (
        "compliance.*",
        "execution.add_orderprotection",
        "execution.change_account_terms",
        "execution.approve_live",
        "execution.add_breakresolution",
        "portfolios.view_all_portfolios",
        "portfolios.approve_bookingrequest",
        "risk.halt_trading",
        "risk.release_trading",
        "risk.approve_limitchange",
        "core.verify_journal",
        "*.view",
    ),
    Role.OPERATOR: (
        "execution.change_brokerageaccount",
        "execution.view_brokerageaccount",
        "execution.add_venue",
        "execution.change_venue",
        "execution.view_venue",
        "core.view_jobrun",
        "core.add_jobrun",
        "core.change_jobrun",
        "marketdata.add_bar",
        "marketdata.add_instrument",
        "marketdata.change_instrument",
        "marketdata.add_featuresetdefinition",
        "marketdata.change_featuresetdefinition",
        "marketdata.view_featuresetdefinition",
        "marketdata.view_instrument",
        "marketdata.view_bar",
        "marketdata.view_vendor",
        "marketdata.change_vendor",
        "marketdata.control_vendor",
        "marketdata.view_vendorincident",
        "marketdata.add_subscription",
        "marketdata.change_subscription",
        "marketdata.view_subscription",
        "marketdata.view_subscriptionrun",
        "marketdata.fetch_data",
        "marketdata.view_instrumentsymbol",
        "marketdata.view_marketstatus",
        "marketdata.view_nameduniverse",
        "marketdata.view_universemember",
        "marketdata.view_corporateaction",
        "marketdata.decide_corporateaction",
        "marketdata.add_qualityrun",
        "marketdata.view_qualityrun",
        "marketdata.view_qualityfinding",
        "marketdata.add_quarantine",
        "marketdata.change_quarantine",
        "marketdata.view_quarantine",
        "marketdata.change_retentionpolicy",
        "marketdata.view_retentionpolicy",
        "risk.halt_trading",
        "alerts.view_escalationpolicy",
        "alerts.view_escalationstep",
        "alerts.view_alertescalation",
        "alerts.view_alertdelivery",
        "alerts.view_alertroute",
        "alerts.view_alert",
    ),
    Role.AUDITOR: ("portfolios.view_all_portfolios", "core.verify_journal", "*.view"),
}

#: Roles whose people work in the admin site.
STAFF_ROLES = frozenset({Role.COMPLIANCE, Role.OPERATOR, Role.AUDITOR, Role.RISK})


def _wanted(names: tuple[str, ...], existing: dict[str, Permission]) -> dict[str, Permission]:
    wanted: dict[str, Permission] = {}
    for name in names:
        app, _, codename = name.partition(".")
        if name == "*.view":
            found = {key: value for key, value in existing.items() if value.codename.startswith("view_")}
        elif codename == "*":
            found = {key: value for key, value in existing.items() if key.startswith(f"{app}.")}
        else:
            found = {name: existing[name]} if name in existing else {}
        if not found:
            logger.debug("permission %s does not exist", name)  # while apps are migrated one by one; a test holds the full set
        wanted |= found
    return wanted


def roles_synchronise() -> None:
    """Make each role's group, with exactly the permissions of the table. Writes nothing when they are already so."""
    existing = {
        f"{permission.content_type.app_label}.{permission.codename}": permission for permission in Permission.objects.select_related("content_type")
    }
    with acting(actor="system:roles"):
        for role, names in PERMISSIONS.items():
            group, _ = Group.objects.get_or_create(name=role.value)
            group.permissions.set(_wanted(names, existing).values())


def synchronise_after_migrate(sender: AppConfig, **_: Any) -> None:
    """Receive post_migrate: once, after the last app, when every permission exists."""
    last = [config for config in apps.get_app_configs() if config.models_module is not None][-1]
    if sender.label == last.label:
        roles_synchronise()
