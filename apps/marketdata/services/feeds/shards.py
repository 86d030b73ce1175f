"""Which symbols are a feed's own: shards of symbols, each a lease that one feed of the whole desk holds at a time.

A thread takes and gives back shards until each running feed has its fair share, and asks four times a second whether its leases are
still there. An answer is trusted for TRUST_SECONDS from the moment of the question; a feed that takes a shard writes nothing for
SETTLE_SECONDS, which is longer. So even a feed whose connection was cut without a word stops writing before the next one begins.
While the database is away nobody can take a lease: a feed goes on to receive and to spool its symbols, and writes nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from apps.core.errors import Unavailable
from apps.core.locks import LeaseSet
from apps.marketdata.domain.sharding import fair_share, to_release, to_take

logger = logging.getLogger(__name__)

MOST_FEEDS = 64
ASK_SECONDS = 0.25
TRUST_SECONDS = 1.0
SETTLE_SECONDS = 1.25


class ShardKeeper(threading.Thread):
    """Holds the shards of one feed process. `on_change` is called with the shards to receive whenever they change."""

    def __init__(self, feed: str, shards: int, *, on_change: Callable[[frozenset[int]], None]) -> None:
        super().__init__(name=f"shards of {feed}", daemon=True)
        self.members = 0
        self.error: BaseException | None = None
        self._feed, self._shards, self._on_change = feed, shards, on_change
        self._names = {f"feed:{feed}:shard:{n}": n for n in range(shards)}
        self._usable_at: dict[int, float] = {}
        self._trusted_until = 0.0
        self._wanted: frozenset[int] = frozenset()
        self._writing = threading.Lock()
        self._ending = threading.Event()
        self._leases: LeaseSet | None = None
        self._warned = False

    @property
    def wanted(self) -> frozenset[int]:
        """The shards to receive: those held, or those last held while the database is away."""
        return self._wanted

    @contextmanager
    def writing(self) -> Iterator[frozenset[int]]:
        """Within the block, which lasts milliseconds, these shards are this feed's alone and stay so."""
        with self._writing:
            now = time.monotonic()
            trusted = now < self._trusted_until
            yield frozenset(shard for shard, usable_at in self._usable_at.items() if now >= usable_at) if trusted else frozenset()

    def run(self) -> None:
        """Keep the shards until `stop`."""
        try:
            while not self._ending.is_set():
                try:
                    self._step()
                except Unavailable as error:
                    if self._leases is not None or not self._warned:
                        logger.warning("feed %s: nothing is written until its leases are back: %s", self._feed, error)
                    self._warned = True
                    self._lose()
                self._ending.wait(ASK_SECONDS)
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for the thread)
            self.error = error
        finally:
            self._lose()

    def stop(self) -> None:
        """Give everything back and end."""
        self._ending.set()
        if self.is_alive():
            self.join(timeout=15)

    def _step(self) -> None:
        asked_at = time.monotonic()
        if self._leases is None:
            self._leases = LeaseSet(application=f"desk feed {self._feed}")
            self._join(self._leases)
            for shard in sorted(self._wanted):  # those that it had before the database went away come first
                self._take(self._leases, shard)
        leases = self._leases
        leases.check()
        self._trusted_until, self._warned = asked_at + TRUST_SECONDS, False
        self.members = len(leases.taken(self._member_name(n) for n in range(MOST_FEEDS)))
        self._balance(leases)
        held = frozenset(self._usable_at)
        if held != self._wanted:
            self._wanted = held
            self._on_change(held)

    def _join(self, leases: LeaseSet) -> None:
        """Be counted among the feeds that run."""
        if not any(leases.take(self._member_name(n)) for n in range(MOST_FEEDS)):
            raise Unavailable(f"{MOST_FEEDS} feeds of the name {self._feed} run already")

    def _balance(self, leases: LeaseSet) -> None:
        share = fair_share(self._shards, self.members)
        for shard in to_release(self._usable_at, share):
            with self._writing:
                del self._usable_at[shard]
            leases.release(self._shard_name(shard))
        busy = {self._names[name] for name in leases.taken(self._names)}
        mine = min(self._names[name] for name in leases.held & set(self._names)) if self._usable_at else 0
        for shard in to_take(self._usable_at, share, self._shards, first=mine):
            if len(self._usable_at) >= share:
                break
            if shard not in busy:
                self._take(leases, shard)

    def _take(self, leases: LeaseSet, shard: int) -> None:
        if leases.take(self._shard_name(shard)):
            with self._writing:
                self._usable_at[shard] = time.monotonic() + SETTLE_SECONDS

    def _lose(self) -> None:
        """The leases are gone, or given back: nothing may be written any more."""
        with self._writing:
            self._usable_at.clear()
            self._trusted_until = 0.0
        leases, self._leases = self._leases, None
        if leases is not None:
            with suppress(Exception):
                leases.close()

    def _shard_name(self, shard: int) -> str:
        return f"feed:{self._feed}:shard:{shard}"

    def _member_name(self, n: int) -> str:
        return f"feed:{self._feed}:member:{n}"
