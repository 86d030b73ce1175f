"""How the desk treats a vendor: how many requests a second, when to ask again, when to stop asking for a while."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A vendor's token bucket: `rate` tokens a second flow in, up to `burst`. Within t seconds there are at most burst + rate x t requests.

    `priority` is the vendor's place in the order of "auto", the lowest first.
    """

    rate: float
    burst: int
    priority: int


#: What a new desk begins with: below the limits that the vendors publish for their free accounts. Operators change it in the admin.
PACES: dict[str, Pace] = {
    "polygon": Pace(rate=4 / 60, burst=1, priority=10),  # 5 a minute
    "alpaca": Pace(rate=3.0, burst=10, priority=20),  # 200 a minute
    "yahoo": Pace(rate=0.5, burst=5, priority=30),  # not published
    "finnhub": Pace(rate=0.9, burst=5, priority=40),  # 60 a minute, 30 a second
    "coinbase": Pace(rate=5.0, burst=5, priority=50),  # 10 a second
    "files": Pace(rate=1000.0, burst=1000, priority=90),  # the desk's own folders
    "tradingview": Pace(rate=1000.0, burst=1000, priority=91),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """At most `attempts` tries within `total_seconds`; the n-th pause is a random time up to first_seconds x 2^n, never above `most_seconds`."""

    attempts: int = 4
    first_seconds: float = 1.0
    most_seconds: float = 30.0
    total_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRule:
    """`failures` within `window_seconds` open the breaker; after `cooldown_seconds` one probe is let through, which has `probe_seconds` to end."""

    failures: int = 5
    window_seconds: float = 120.0
    cooldown_seconds: float = 60.0
    probe_seconds: float = 300.0


def retry_pause(rule: RetryRule, *, attempt: int, retry_after: float | None, chance: float) -> float:
    """Seconds to wait after the failed `attempt` (1, 2, ...). `chance` in [0, 1) spreads the callers ("full jitter").

    The vendor's own Retry-After is a lower bound: the random part comes on top, so that waiters do not come back all at once.
    """
    backoff = chance * min(rule.most_seconds, rule.first_seconds * 2.0 ** (attempt - 1))
    return backoff if retry_after is None else max(0.0, retry_after) + backoff
