import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

from apps.core import streams
from apps.core.streams import current_seq, group_name, publish, register_stream, stream_of


@pytest.fixture
def stream() -> Any:
    register_stream("test", snapshot=lambda _user, key: {"key": key}, allowed=lambda _user, key: key == "1")
    yield
    streams._streams.pop("test")


class TestChannels:
    def test_a_channel_leads_to_its_stream_and_key(self, stream: None) -> None:
        found = stream_of("test:1")
        assert found is not None
        assert (found[0].name, found[1]) == ("test", "1")
        assert stream_of("test")[1] == ""

    @pytest.mark.parametrize("channel", ["", "unknown", "test:", "test:a b", "Test", "test:1:2", "test:" + "x" * 61, "test;drop"])
    def test_what_is_malformed_or_unknown_leads_nowhere(self, stream: None, channel: str) -> None:
        assert stream_of(channel) is None


class TestPublish:
    def test_numbers_count_up_for_each_channel(self) -> None:
        assert current_seq("a:1") == 0
        for _ in range(3):
            publish("a:1", {})
        publish("a:2", {})
        assert (current_seq("a:1"), current_seq("a:2")) == (3, 1)

    async def test_a_subscriber_of_the_group_gets_the_envelope(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(group_name("orders:3"), channel)
        data = {"price": Decimal("1.50"), "at": datetime(2026, 11, 20, tzinfo=UTC), "nan": float("nan")}
        await sync_to_async(publish)("orders:3", data)
        message = await asyncio.wait_for(layer.receive(channel), 60)
        envelope = json.loads(message["text"])
        assert (message["type"], message["ch"], message["seq"]) == ("stream.message", "orders:3", 1)
        assert (envelope["v"], envelope["ch"], envelope["seq"], envelope["type"]) == (1, "orders:3", 1, "delta")
        assert envelope["d"] == {"price": "1.50", "at": "2026-11-20T00:00:00Z", "nan": None}
        assert envelope["ts"].endswith("Z")

    def test_a_redis_that_is_away_does_not_undo_what_is_committed(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr(streams, "redis_client", lambda: redis.Redis(unix_socket_path="/nowhere/redis.sock"))
        publish("orders:3", {})
        assert "not published to orders:3" in caplog.text

    @pytest.mark.parametrize("channel", ["", "orders:a b", "Orders"])
    def test_a_malformed_channel_is_a_mistake_of_ours(self, channel: str) -> None:
        with pytest.raises(ValueError):
            publish(channel, {})

    def test_so_is_data_without_a_json_form(self) -> None:
        with pytest.raises(TypeError):
            publish("orders:3", {"x": object()})
