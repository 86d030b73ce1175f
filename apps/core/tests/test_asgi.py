import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core import signals
from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from apps.core.asgi import ThreadedHandler

DEADLINE = 60.0
FILE = b"line\n" * 50_000

seen: dict[str, int] = {}
entered, let_go = threading.Event(), threading.Event()


def note(where: str) -> None:
    seen[where] = threading.get_ident()


@csrf_exempt
def told(request: HttpRequest) -> HttpResponse:
    note("view")
    return HttpResponse(request.body[::-1])


@csrf_exempt
def slow(request: HttpRequest) -> HttpResponse:
    entered.set()
    let_go.wait(DEADLINE)
    return HttpResponse()


@csrf_exempt
def streamed(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(request.GET["file"]).open("rb"))


urlpatterns = [path("told", told), path("slow", slow), path("streamed", streamed)]


def started(**_: Any) -> None:
    note("started")


def finished(**_: Any) -> None:
    note("finished")


@pytest.fixture
def handler(settings: Any) -> Iterator[ThreadedHandler]:
    settings.ROOT_URLCONF = __name__
    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    seen.clear()
    entered.clear()
    let_go.clear()
    yield ThreadedHandler()
    signals.request_started.disconnect(started)
    signals.request_finished.disconnect(finished)


def ask(handler: ThreadedHandler, address: str, query: str = "") -> Any:
    scope = {"type": "http", "method": "POST", "path": address, "query_string": query.encode(), "headers": [(b"host", b"testserver")]}
    return ApplicationCommunicator(handler, scope)  # type: ignore[no-untyped-call]


async def answered(client: Any) -> tuple[int, bytes]:
    await client.send_input({"type": "http.request", "body": b"abc", "more_body": True})
    await client.send_input({"type": "http.request", "body": b"def"})
    status, body, more = (await client.receive_output(DEADLINE))["status"], b"", True
    while more:
        part = await client.receive_output(DEADLINE)
        body, more = body + part.get("body", b""), part.get("more_body", False)
    await client.wait(DEADLINE)
    return status, body


def test_a_request_stays_in_one_thread_and_off_the_loop(handler: ThreadedHandler) -> None:
    assert asyncio.run(answered(ask(handler, "/told"))) == (200, b"fedcba")
    assert seen.keys() == {"started", "view", "finished"}
    assert len(set(seen.values())) == 1
    assert threading.get_ident() not in seen.values()


def test_a_file_is_streamed_whole(handler: ThreadedHandler, tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_bytes(FILE)
    assert asyncio.run(answered(ask(handler, "/streamed", f"file={file}"))) == (200, FILE)
    assert "finished" in seen


def test_no_such_address_is_an_answer_too(handler: ThreadedHandler) -> None:
    assert asyncio.run(answered(ask(handler, "/nothing")))[0] == 404


def test_work_that_began_is_done_although_the_client_has_gone(handler: ThreadedHandler) -> None:
    async def leave() -> None:
        client = ask(handler, "/slow")
        await client.send_input({"type": "http.request", "body": b""})
        await asyncio.to_thread(entered.wait, DEADLINE)
        await client.send_input({"type": "http.disconnect"})
        let_go.set()
        await client.wait(DEADLINE)

    asyncio.run(leave())
    assert "finished" in seen
