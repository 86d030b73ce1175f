"""Where a webhook may go. The desk must not become a door to the network that it stands in (server-side request forgery)."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from apps.core.errors import InvalidInput

LONGEST_URL = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A webhook's address in parts. `path` contains the query; `loopback` says that the host is this machine by its name or number."""

    scheme: str
    host: str
    port: int
    path: str
    loopback: bool

    @property
    def host_header(self) -> str:
        """The header Host."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == {"https": 443, "http": 80}[self.scheme] else f"{name}:{self.port}"


def target_of(url: str, *, loopback_allowed: bool) -> Target:
    """Read a webhook's address. Raises InvalidInput: only https, or this machine where that is allowed; no user, no fragment."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise InvalidInput(f"{url[:80]!r} is no address: {error}", field="target") from error
    if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST_URL or any(ord(c) <= 32 or ord(c) > 126 for c in url):
        raise InvalidInput("a webhook has an address like https://hooks.example.org/desk", field="target")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInput("the address of a webhook has neither user nor password nor #: the signature says who sends", field="target")
    loopback = host == "localhost" or _is_loopback(host)
    if loopback and not loopback_allowed:
        raise InvalidInput("webhooks to this machine are not allowed on this desk", field="target")
    if parts.scheme == "http" and not loopback:
        raise InvalidInput("a webhook uses https", field="target")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80), path=path, loopback=loopback)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def reachable_address(target: Target, found: Sequence[str], *, trusted_hosts: Sequence[str]) -> str:
    """The address to connect to, of those that the host's name has. It is used as it is, so that the name cannot mean another one a moment later.

    All must be allowed: public ones, or any for a host that the operators trust; loopback ones only for a target that names this machine.
    Raises InvalidInput.
    """
    if not found:
        raise InvalidInput(f"{target.host} has no address", field="target")
    for text in found:
        address = _bare(text)
        if target.loopback:
            allowed = address.is_loopback
        else:
            allowed = _public(address) or (target.host in trusted_hosts and not address.is_loopback and not address.is_link_local)
        if not allowed:
            raise InvalidInput(f"{target.host} is at {text}, which webhooks may not reach", field="target")
    return found[0]


def _bare(text: str) -> IPv4Address | IPv6Address:
    """Without scope; an IPv4 address in an IPv6 one (mapped, 6to4, NAT64) counts as what it carries."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address.packed[:12] == bytes.fromhex("0064ff9b") + bytes(8):
            inside = IPv4Address(address.packed[12:])
        return inside or address
    return address


def _public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
