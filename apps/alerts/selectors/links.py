"""Where the page of an alert's subject is. Alerts know no portfolios and no orders: the apps that have them say where they are shown."""

from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLink:
    """An address of the desk, and what its button says."""

    url: str
    label: str


#: From the id in a subject to its page.
Find = Callable[[int], AlertLink]

_links: dict[tuple[str, str], Find] = {}


def register_alert_link(kind: str, find: Find, *, codes: Collection[str] = ("",)) -> None:
    """Say where subjects of a kind, such as "portfolio" in "portfolio:3", are shown, from AppConfig.ready(): for all alerts, or those of `codes`."""
    for code in codes:
        _links[kind, code] = find


def alert_link(*, code: str, subject: str) -> AlertLink | None:
    """The page of what an alert is about; None where nobody has named one."""
    kind, _, number = subject.partition(":")
    find = _links.get((kind, code)) or _links.get((kind, ""))
    return find(int(number)) if find and number.isascii() and number.isdecimal() else None
