"""Real receivers on loopback: a mail server and a web server that answer as a test wants, and keep what they got."""

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class MailServer:
    """`replies` overrides the answer to a command, e.g. {"RCPT": "550 no such user"}. `mails` are (sender, recipients, text)."""

    port: int = 0
    replies: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[str, list[str], str]] = field(default_factory=list)


@dataclass
class Hook:
    """`status`, `headers` and `hang` say how the next requests are answered; `requests` are (path, headers, body)."""

    url: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[index]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """SMTP as RFC 5321 has it, as far as a client needs it that sends one message."""
    state = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say(state.replies.get("CONNECT", "220 desk.test ESMTP"))
            sender, recipients = "", []
            for raw in self.rfile:
                line = raw.decode().strip()
                command = line.split(" ")[0].upper()
                if command in state.replies:
                    self.say(state.replies[command])
                    continue
                if command == "MAIL":
                    sender, recipients = line.partition(":")[2], []
                elif command == "RCPT":
                    recipients.append(line.partition(":<")[2].rstrip(">"))
                elif command == "DATA":
                    self.say("354 go on")
                    state.mails.append((sender, recipients, self.text()))
                elif command == "QUIT":
                    self.say("221 bye")
                    return
                self.say("250 ok")

        def text(self) -> str:
            lines = []
            for raw in self.rfile:
                if raw == b".\r\n":
                    break
                lines.append(raw[1:] if raw.startswith(b"..") else raw)
            return b"".join(lines).decode()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with _serving(Server(("127.0.0.1", 0), Handler)) as port:
        state.port = port
        yield state


@contextmanager
def hook() -> Iterator[Hook]:
    """A web server that takes webhooks."""
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((self.path, dict(self.headers), body))
            if state.hang is not None:
                state.hang.wait(60)
                return
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with _serving(Server(("127.0.0.1", 0), Handler)) as port:
        state.url = f"http://127.0.0.1:{port}/desk?team=risk"
        yield state
