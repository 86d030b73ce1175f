"""Real receivers on loopback: a mail server and a web server that answer as a test wants, and keep what they got."""

import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


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
    asked_for: list[str | None] = field(default_factory=list)


def certificate(folder: Path, name: str) -> Path:
    """A certificate for a name, signed by itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


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
def hook(tls: Path | None = None) -> Iterator[Hook]:
    """A web server that takes webhooks, over TLS with a certificate of `certificate`; `asked_for` are the names that clients then ask for."""
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

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        context.sni_callback = lambda _socket, name, _context: state.asked_for.append(name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with _serving(server) as port:
        state.url = f"http://127.0.0.1:{port}/desk?team=risk" if tls is None else f"https://localhost:{port}/desk?team=risk"
        yield state
