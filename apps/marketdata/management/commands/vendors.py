from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.context import current_context
from apps.core.documents import plain
from apps.marketdata.models import Forced
from apps.marketdata.selectors.vendors import VendorState, vendor_states
from apps.marketdata.services.vendors import vendor_force

FORCED = {"force_open": Forced.OPEN, "force_close": Forced.CLOSED, "release": Forced.NO}


class Command(DeskCommand):
    help = """Show the vendors of market data with their breakers; force one open or closed, or release it.

    manage.py vendors --json
    manage.py vendors --force-open polygon --reason "they announced maintenance until Monday"
    """

    def add_options(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--force-open", metavar="NAME", help="do not ask this vendor until it is released")
        which.add_argument("--force-close", metavar="NAME", help="ask this vendor even when it fails")
        which.add_argument("--release", metavar="NAME", help="leave this vendor to its breaker again")
        parser.add_argument("--reason", default="", help="why; needed to force or release")

    def run(self, **options: Any) -> CommandResult:
        for option, forced in FORCED.items():
            if options[option]:
                vendor_force(name=options[option], forced=forced, reason=options["reason"], by=current_context().actor, at=clock.now())
        states = vendor_states()
        return CommandResult(data={"vendors": plain(states)}, text="\n".join(map(_line, states)) or "There are no vendors: run manage.py migrate.")


def _line(state: VendorState) -> str:
    state_of = f"{'' if state.enabled else 'not enabled, '}{state.breaker.replace('_', ' ')}"
    incident = f"; {state.last_incident} {state.last_incident_at:%Y-%m-%d %H:%M} UTC" if state.last_incident_at else ""
    return f"{state.name:<12} {state_of}, {round(state.rate, 4):g} requests/s{incident}"
