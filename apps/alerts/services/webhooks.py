"""Alerts by webhook: signed JSON to an address that the desk may reach, and to no other."""

import socket
from collections.abc import Callable, Sequence
from datetime import datetime

from django.conf import settings
from django.utils.crypto import salted_hmac

from apps.alerts.domain.answers import Answer, Outcome, http_answer
from apps.alerts.domain.signing import signature
from apps.alerts.domain.targets import Target, reachable_address, target_of
from apps.alerts.models import AlertRoute
from apps.alerts.services.messages import Message
from apps.core.errors import InvalidInput

Resolve = Callable[[str, int], Sequence[str]]


def webhook_target(url: str) -> Target:
    """Read a webhook's address by this desk's rules. Raises InvalidInput."""
    return target_of(url, loopback_allowed=settings.ALERT_WEBHOOK_LOOPBACK)


def webhook_secret(route: AlertRoute) -> str:
    """The secret that signs a route's webhooks, 64 hex digits. Another SECRET_KEY of the desk makes another one."""
    return salted_hmac("apps.alerts.webhook", f"{route.pk}:{route.secret_version}", algorithm="sha256").hexdigest()


def addresses_of(host: str, port: int) -> Sequence[str]:
    """The addresses of a host's name. Raises OSError."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def webhook_send(*, message: Message, clock: Callable[[], datetime], resolve: Resolve = addresses_of) -> Answer:
    """POST the message to the address that was checked, whatever the name means a moment later; redirects are not followed.

    Neither a proxy nor credentials of the machine's environment are used, and the answer's body is not read.
    """
    import httpx2

    try:
        target = webhook_target(message.route.target)
        address = reachable_address(target, resolve(target.host, target.port), trusted_hosts=settings.ALERT_WEBHOOK_HOSTS)
    except InvalidInput as error:
        return Answer(outcome=Outcome.REFUSED, detail=error.detail)
    except (OSError, UnicodeError) as error:
        return Answer(outcome=Outcome.RETRY, detail=f"{target.host} has no address: {error}")
    where = f"{target.scheme}://{f'[{address}]' if ':' in address else address}:{target.port}{target.path}"
    headers = _headers(message, target, sent_at=clock())
    try:
        with (
            httpx2.Client(timeout=settings.ALERT_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", where, content=message.body, headers=headers, extensions={"sni_hostname": target.host}) as answer,
        ):
            return http_answer(answer.status_code, dict(answer.headers), now=clock())
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        return Answer(outcome=Outcome.RETRY, detail=f"{target.host} cannot be reached: {type(error).__name__}: {error}")


def _headers(message: Message, target: Target, *, sent_at: datetime) -> dict[str, str]:
    timestamp, key = int(sent_at.timestamp()), str(message.key)
    return {
        "Host": target.host_header,
        "Content-Type": "application/json",
        "User-Agent": "smart-trader-alerts/1",
        "Idempotency-Key": key,
        "Desk-Attempt": str(message.attempt),
        "Desk-Timestamp": str(timestamp),
        "Desk-Signature": signature(secret=webhook_secret(message.route), timestamp=timestamp, key=key, body=message.body),
    }
