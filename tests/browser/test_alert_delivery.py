"""A person lets the desk send alerts to a webhook, tries it, and checks the signature with the secret that the page shows."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.alerts.tests.receivers import hook
from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
SOON = 60_000


def test_a_trial_arrives_signed_at_the_webhook_of_a_new_route(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("quant")
    page.goto(f"{desk.url}/alerts")
    page.get_by_role("link", name="Delivery").click()
    with hook() as web:
        page.locator("label", has_text="Webhook").click()
        page.fill("#n-target", web.url)
        page.fill("#wn-kinds", "ALERT_")  # nothing that happens to the desk meanwhile
        page.get_by_role("button", name="Add").click()
        secret = page.locator("dd code").text_content() or ""
        page.get_by_role("button", name=re.compile("Send a trial")).click()
        expect(page.get_by_text("A trial is on its way")).to_be_visible(timeout=SOON)
        assert web.received.wait(SOON / 1000)
        [(path, headers, body)] = web.requests
    assert path == "/desk?team=risk"
    assert json.loads(body)["alerts"][0]["code"] == "ALERT_TEST"
    signed = f"{headers['Desk-Timestamp']}.{headers['Idempotency-Key']}.".encode() + body
    assert headers["Desk-Signature"] == "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    page.get_by_role("button", name=re.compile("Remove")).click()
    expect(page.locator("dd code")).to_have_count(0, timeout=SOON)
