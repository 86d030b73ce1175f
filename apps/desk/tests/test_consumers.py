"""The WebSocket on the real channel layer: snapshot, deltas, gaps, refusals, heartbeat, gathered ticks."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator

from apps.core import streams
from apps.core.models import User
from apps.desk.consumers import SIGNED_OUT, TOO_SLOW, LiveConsumer, merged

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 3600.0


@pytest.fixture
def user() -> User:
    return User.objects.create_user(username="trader", password="not-used-here")


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A stream "sample" with a state that the test may change, for key 1 only; and "ticks", which is gathered."""
    state: dict[str, Any] = {"value": 1}
    monkeypatch.setattr(streams, "_streams", dict(streams._streams))
    streams.register_stream("sample", snapshot=lambda _user, _key: dict(state), allowed=lambda _user, key: key == "1")
    streams.register_stream("ticks", snapshot=lambda _user, _key: {"prices": {}}, allowed=lambda _user, _key: True)
    for channel in ("sample:1", "ticks"):
        streams.redis_client().delete(f"desk:seq:{channel}")
    return state


@asynccontextmanager
async def connection(user: Any, **settings: Any) -> AsyncIterator[WebsocketCommunicator]:
    settings = {"heartbeat_seconds": LONG, **settings}
    communicator = WebsocketCommunicator(LiveConsumer.as_asgi(**settings), "/ws/")
    communicator.scope["user"] = user
    connected, _ = await communicator.connect(timeout=60)
    assert connected
    try:
        yield communicator
    finally:
        await communicator.disconnect(timeout=60)


async def ask(communicator: WebsocketCommunicator, **message: Any) -> None:
    await communicator.send_to(text_data=json.dumps(message))


async def told(communicator: WebsocketCommunicator) -> dict[str, Any]:
    return json.loads(await communicator.receive_from(timeout=60))


async def publish(channel: str, data: dict[str, Any]) -> None:
    await sync_to_async(streams.publish)(channel, data)


async def test_subscription_brings_a_snapshot_and_then_numbered_deltas(user: User, stream: dict[str, Any]) -> None:
    async with connection(user) as socket:
        await ask(socket, type="subscribe", ch="sample:1")
        first = await told(socket)
        await publish("sample:1", {"value": 2})
        second = await told(socket)
    assert (first["type"], first["ch"], first["seq"], first["d"]) == ("snapshot", "sample:1", 0, {"value": 1})
    assert (second["type"], second["seq"], second["d"]) == ("delta", 1, {"value": 2})
    assert second["v"] == streams.VERSION
    assert second["ts"].endswith("Z")


async def test_subscribing_again_after_a_gap_brings_the_state_as_it_is_now(user: User, stream: dict[str, Any]) -> None:
    async with connection(user) as socket:
        await ask(socket, type="subscribe", ch="sample:1")
        assert (await told(socket))["seq"] == 0
        streams.redis_client().incrby("desk:seq:sample:1", 3)  # three messages that this connection never got
        await publish("sample:1", {"value": 5})
        assert (await told(socket))["seq"] == 4  # the client sees 0, then 4: a gap
        stream["value"] = 5
        await ask(socket, type="subscribe", ch="sample:1")
        again = await told(socket)
    assert (again["type"], again["seq"], again["d"]) == ("snapshot", 4, {"value": 5})


async def test_a_delta_that_the_snapshot_already_holds_is_not_sent(user: User, stream: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A message published while the snapshot is read: numbered before the snapshot's number, delivered after it."""
    async with connection(user) as socket:
        await publish("sample:1", {"value": 2})
        await ask(socket, type="subscribe", ch="sample:1")
        assert (await told(socket))["seq"] == 1
        await sync_to_async(streams.publish_text)("sample:1", '{"value":2}', seq=1)
        await publish("sample:1", {"value": 3})
        assert (await told(socket))["seq"] == 2


@pytest.mark.parametrize("channel", ["sample:2", "nothing", "no such channel", ""])
async def test_a_channel_that_is_not_the_users_looks_like_one_that_does_not_exist(user: User, stream: dict[str, Any], channel: str) -> None:
    async with connection(user) as socket:
        await ask(socket, type="subscribe", ch=channel)
        answer = await told(socket)
        await publish("sample:1", {"value": 2})
        await ask(socket, type="subscribe", ch="sample:1")
        assert (await told(socket))["type"] == "snapshot"  # and nothing came in between
    assert (answer["type"], answer["ch"], answer["code"], answer["detail"]) == ("error", channel, "NOT_FOUND", "No such channel")


async def test_a_user_who_was_switched_off_gets_no_new_channel(user: User, stream: dict[str, Any]) -> None:
    async with connection(user) as socket:
        await User.objects.filter(pk=user.pk).aupdate(is_active=False)
        await ask(socket, type="subscribe", ch="sample:1")
        assert (await told(socket))["code"] == "NOT_FOUND"


async def test_visitors_are_turned_away() -> None:
    from django.contrib.auth.models import AnonymousUser

    async with connection(AnonymousUser()) as socket:
        closed = await socket.receive_output(timeout=60)
    assert (closed["type"], closed["code"]) == ("websocket.close", SIGNED_OUT)


async def test_after_unsubscribing_nothing_comes(user: User, stream: dict[str, Any]) -> None:
    async with connection(user) as socket:
        await ask(socket, type="subscribe", ch="sample:1")
        await told(socket)
        await ask(socket, type="unsubscribe", ch="sample:1")
        await ask(socket, type="subscribe", ch="ticks")
        assert (await told(socket))["ch"] == "ticks"
        await publish("sample:1", {"value": 2})
        await publish("ticks", {"prices": {"A": 1}})
        assert (await told(socket))["ch"] == "ticks"


async def test_the_heart_beats(user: User) -> None:
    async with connection(user, heartbeat_seconds=0.01) as socket:
        beats = [await told(socket) for _ in range(3)]
    assert [beat["type"] for beat in beats] == ["hb"] * 3
    assert [beat["n"] for beat in beats] == [0, 1, 2]


@pytest.mark.parametrize("text", ["no json", "[]", '{"ch": "sample:1"}', '{"type": "shout"}', '{"type": "subscribe", "ch": 3}'])
async def test_messages_that_make_no_sense_are_answered(user: User, text: str) -> None:
    async with connection(user) as socket:
        await socket.send_to(text_data=text)
        assert (await told(socket))["code"] == "INVALID_INPUT"


async def test_ticks_are_gathered_and_the_gathered_message_names_its_first_number(user: User, stream: dict[str, Any]) -> None:
    settings = {"tick_streams": frozenset({"ticks"}), "tick_seconds": 0.01, "most_behind_for_ticks": 2}
    async with connection(user, **settings) as socket:
        await ask(socket, type="subscribe", ch="sample:1")
        await ask(socket, type="subscribe", ch="ticks")
        assert [(await told(socket))["ch"], (await told(socket))["ch"]] == ["sample:1", "ticks"]
        await publish("ticks", {"prices": {"A": "1"}})
        assert (await told(socket))["seq"] == 1  # the first goes at once; from now on the client is behind, and the next ones wait
        await publish("ticks", {"prices": {"A": "2", "B": "7"}})
        await publish("ticks", {"prices": {"A": "3"}})
        await publish("sample:1", {"value": 2})
        assert (await told(socket))["ch"] == "sample:1"  # what was published before has arrived, too
        await ask(socket, type="ack", n=4)
        gathered = await told(socket)
    assert (gathered["first"], gathered["seq"]) == (2, 3)
    assert gathered["d"] == {"prices": {"A": "3", "B": "7"}}


async def test_ticks_that_come_slower_than_the_pace_go_out_as_they_are(user: User, stream: dict[str, Any]) -> None:
    async with connection(user, tick_streams=frozenset({"ticks"}), tick_seconds=0.0001) as socket:
        await ask(socket, type="subscribe", ch="ticks")
        await told(socket)
        for number in (1, 2, 3):
            await publish("ticks", {"prices": {"A": str(number)}})
            message = await told(socket)
            assert (message["seq"], message["d"]) == (number, {"prices": {"A": str(number)}})
            assert "first" not in message  # it stands for itself


async def test_a_client_far_behind_gets_no_ticks_but_every_order(user: User, stream: dict[str, Any]) -> None:
    settings = {"tick_streams": frozenset({"ticks"}), "tick_seconds": 0.01, "most_behind_for_ticks": 2}
    async with connection(user, **settings) as socket:
        await ask(socket, type="subscribe", ch="sample:1")
        await ask(socket, type="subscribe", ch="ticks")
        assert [(await told(socket))["ch"], (await told(socket))["ch"]] == ["sample:1", "ticks"]
        await publish("sample:1", {"value": 2})
        assert (await told(socket))["seq"] == 1  # three messages sent, none acknowledged
        await publish("ticks", {"prices": {"A": "1"}})
        for number in (2, 3):
            await publish("sample:1", {"value": number})
            assert ((await told(socket))["ch"]) == "sample:1"
        await ask(socket, type="ack", n=5)
        held = await told(socket)
    assert (held["ch"], held["d"]) == ("ticks", {"prices": {"A": "1"}})


async def test_a_client_that_never_answers_is_cut_off(user: User, stream: dict[str, Any]) -> None:
    async with connection(user, heartbeat_seconds=0.01, most_behind=3) as socket:
        for _ in range(4):
            assert (await told(socket))["type"] == "hb"
        assert (await socket.receive_output(timeout=60))["code"] == TOO_SLOW


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"x": 2}}, {"a": {"x": 2, "y": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
    ],
)
def test_newest_values_win(old: dict[str, Any], new: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merged(old, new) == expected
