"""The one WebSocket of a page: snapshot, then numbered deltas, a heartbeat between them.

The client sends {type: subscribe|unsubscribe, ch} and answers each heartbeat with {type: ack, n}, the number of messages it has had.
Ticks go out at once as the feed paces them, gathered to at most 50 messages a second, and are held back while the client is far behind;
how often an eye sees a cell change is the page's business (static/js/pace.js). Every other message (orders, fills, alerts, trading
state) goes out at once. A message that does get lost on the way shows as a gap in `seq`; the client then subscribes again and gets a
snapshot.
"""

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import redis
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from apps.core import streams
from apps.core.errors import DeskError
from apps.core.models import User

logger = logging.getLogger(__name__)

SIGNED_OUT = 4401
TOO_SLOW = 4408
MOST_CHANNELS = 50
LATE_DELTA_SECONDS = 5.0


@dataclass(slots=True)
class Subscription:
    """One channel of one connection. `base` is the number of its snapshot; `held` is what waits for the next flush: a message's text as
    it came, or several of them merged.
    """

    channel: str
    interval: float
    base: int
    since: float
    sent_at: float = 0.0
    held: str | dict[str, Any] | None = None
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def covers(self, seq: int, at: float) -> bool:
        """Whether the snapshot already holds this delta. Long after it, a low number means that the numbering began again."""
        return seq <= self.base and at - self.since < LATE_DELTA_SECONDS

    def hold(self, text: str) -> None:
        """Merge a delta into the one that waits: newest values win, `first` remembers where the row of numbers began."""
        if self.held is None:
            self.held = text
            return
        old = json.loads(self.held) if isinstance(self.held, str) else self.held
        new = json.loads(text)
        self.held = {**new, "first": old.get("first", old["seq"]), "d": merged(old["d"], new["d"])}


def merged(old: Any, new: Any) -> Any:
    """`new` laid over `old`, object by object; anything else is replaced."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{name: merged(old[name], value) if name in old else value for name, value in new.items()}}


class LiveConsumer(AsyncWebsocketConsumer):
    """Serves one signed-in user. The numbers below may be set by `as_asgi(...)`."""

    heartbeat_seconds: float = 5.0
    tick_seconds: float = 0.02
    tick_streams: frozenset[str] = frozenset({"quotes", "market"})
    most_behind_for_ticks: int = 200
    most_behind: int = 5000

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        for name, value in settings.items():
            setattr(self, name, value)
        self.subscriptions: dict[str, Subscription] = {}
        self.sent = 0
        self.acknowledged = 0
        self.beat: asyncio.Task[None] | None = None
        self.flushes: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        user = self.scope.get("user")
        await self.accept()
        if user is None or not user.is_authenticated:
            await self.close(code=SIGNED_OUT)
            return
        self.user_id = user.pk
        self.beat = asyncio.create_task(self._beat())

    async def disconnect(self, code: int) -> None:
        if self.beat:
            self.beat.cancel()
        for name in list(self.subscriptions):
            await self._leave(name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            message = json.loads(text_data or "")
            kind, channel = message["type"], message.get("ch", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            await self._refuse("", "INVALID_INPUT", 'Expected a JSON object such as {"type": "subscribe", "ch": "quotes"}')
            return
        if kind == "ack" and isinstance(message.get("n"), int):
            self.acknowledged = min(message["n"], self.sent)
        elif kind == "subscribe" and isinstance(channel, str):
            await self._subscribe(channel)
        elif kind == "unsubscribe" and isinstance(channel, str):
            await self._leave(channel)
        else:
            await self._refuse("", "INVALID_INPUT", "type must be subscribe, unsubscribe or ack")

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Messages of the channel layer need no database, and must not wait for the thread in which snapshots are read."""
        if message["type"] == "stream.message":
            await self.stream_message(message)
        else:
            await super().dispatch(message)

    async def stream_message(self, event: dict[str, Any]) -> None:
        """A message of the channel layer: on to the client now, or with the next flush of ticks when the last was a moment ago."""
        subscription = self.subscriptions.get(event["ch"])
        at = asyncio.get_running_loop().time()
        if subscription is None or subscription.covers(event["seq"], at):
            return
        if not subscription.interval:
            await self._send_text(event["text"])
            return
        subscription.hold(event["text"])
        if subscription.timer is None:
            pause = subscription.sent_at + subscription.interval - at
            if pause > 0:
                self._flush_later(subscription, pause)
            else:
                await self._flush(subscription)

    async def _subscribe(self, channel: str) -> None:
        found = streams.stream_of(channel)
        if found is None or len(self.subscriptions) >= MOST_CHANNELS:
            await self._refuse(channel, "NOT_FOUND", "No such channel" if found is None else f"At most {MOST_CHANNELS} channels")
            return
        stream, key = found
        await self._leave(channel)
        group = streams.group_name(channel)
        try:
            user = await self._permitted(stream, key)
            if user is None:
                await self._refuse(channel, "NOT_FOUND", "No such channel")  # the same answer as for a channel that does not exist
                return
            await self.channel_layer.group_add(group, self.channel_name)  # before the snapshot, so that nothing falls between
            seq, data = await self._snapshot(stream, key, channel, user)
        except (redis.RedisError, DeskError) as error:
            logger.warning("no snapshot of %s: %s", channel, error)
            await self.channel_layer.group_discard(group, self.channel_name)
            await self._refuse(channel, getattr(error, "code", "UNAVAILABLE"), "The snapshot cannot be made now")
            return
        interval = self.tick_seconds if stream.name in self.tick_streams else 0.0
        self.subscriptions[channel] = Subscription(channel=channel, interval=interval, base=seq, since=asyncio.get_running_loop().time())
        await self._send(streams.envelope(channel, data, seq=seq, kind="snapshot"))

    @database_sync_to_async
    def _permitted(self, stream: streams.Stream, key: str) -> User | None:
        """The user as the database has them now, so that a right that was taken away is gone at the next subscription."""
        user = User.objects.filter(pk=self.user_id, is_active=True).first()
        return user if user is not None and stream.allowed(user, key) else None

    @database_sync_to_async
    def _snapshot(self, stream: streams.Stream, key: str, channel: str, user: User) -> tuple[int, dict[str, Any]]:
        seq = streams.current_seq(channel)  # first: what happens while the snapshot is read comes again as a delta, which does no harm
        return seq, stream.snapshot(user, key)

    async def _leave(self, channel: str) -> None:
        subscription = self.subscriptions.pop(channel, None)
        if subscription is None:
            return
        if subscription.timer:
            subscription.timer.cancel()
        await self.channel_layer.group_discard(streams.group_name(channel), self.channel_name)

    def _flush_later(self, subscription: Subscription, pause: float) -> None:
        def start() -> None:
            task = asyncio.ensure_future(self._flush(subscription))
            self.flushes.add(task)
            task.add_done_callback(self.flushes.discard)

        subscription.timer = asyncio.get_running_loop().call_later(pause, start)

    async def _flush(self, subscription: Subscription) -> None:
        subscription.timer = None
        if subscription.held is None or self.subscriptions.get(subscription.channel) is not subscription:
            return
        if self.sent - self.acknowledged > self.most_behind_for_ticks:
            self._flush_later(subscription, subscription.interval)  # the newest values wait until the client has caught up
            return
        held, subscription.held = subscription.held, None
        subscription.sent_at = asyncio.get_running_loop().time()
        await self._send_text(held if isinstance(held, str) else streams.message_text(held))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_seconds)
            if self.sent - self.acknowledged > self.most_behind:
                await self.close(code=TOO_SLOW)  # it comes back and starts from snapshots
                return
            await self._send({"v": streams.VERSION, "ch": "", "type": "hb", "n": self.sent})

    async def _refuse(self, channel: str, code: str, detail: str) -> None:
        await self._send({"v": streams.VERSION, "ch": channel, "type": "error", "code": code, "detail": detail})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(streams.message_text(message))

    async def _send_text(self, text: str) -> None:
        self.sent += 1
        await self.send(text_data=text)
