"""Alerts by e-mail, through the mail server of the environment (EMAIL_URL)."""

import smtplib
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from apps.alerts.domain.answers import Answer, Outcome
from apps.alerts.services.messages import Message


def mail_configured() -> bool:
    """Whether this desk has a mail server."""
    return bool(settings.EMAIL_CONFIGURED)


def mail_send(*, message: Message, clock: Callable[[], datetime]) -> Answer:  # noqa: ARG001 - every channel is called alike
    """Hand the message to the mail server. Its Message-ID and Idempotency-Key are the same in each attempt.

    The server's temporary errors (4xx), and a server that is away or refuses the desk itself, are tried again; other errors are final.
    """
    if not mail_configured():
        return Answer(outcome=Outcome.REFUSED, detail="this desk has no mail server (EMAIL_URL)")
    headers = {"Message-ID": f"<{message.key}@{_domain()}>", "Idempotency-Key": str(message.key), "Auto-Submitted": "auto-generated"}
    mail = EmailMessage(
        subject=message.subject,
        body=message.text,
        to=[message.route.target],
        headers=headers,
        connection=get_connection(timeout=settings.ALERT_TIMEOUT_SECONDS),
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        [(code, said)] = error.recipients.values()
        return _refused(code, said)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error, ours=isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPConnectError))
    except (OSError, smtplib.SMTPException) as error:
        return Answer(outcome=Outcome.RETRY, detail=f"the mail server cannot be reached: {type(error).__name__}: {error}")
    return Answer(outcome=Outcome.SENT, detail="accepted by the mail server", status=250)


def _domain() -> str:
    return str(settings.DEFAULT_FROM_EMAIL).rpartition("@")[2].strip("> ") or "localhost"


def _refused(code: int, said: bytes | str, *, ours: bool = False) -> Answer:
    """`ours`: the server does not let the desk in, which says nothing about the message."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    outcome = Outcome.RETRY if ours or code < 500 else Outcome.REFUSED
    return Answer(outcome=outcome, detail=f"the mail server answered {code}: {' '.join(text.split())}", status=code)
