"""What a webhook may reach, and above all what not."""

import pytest

from apps.alerts.domain.targets import reachable_address, target_of
from apps.core.errors import InvalidInput


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/desk",  # in the clear
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///desk",
        "https://user:secret@hooks.example.org/",
        "https://hooks.example.org/#there",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/\r\nHost: other",
        "https://[::1",
        "https://hooks.example.org/" + "x" * 500,
        "http://10.0.0.8/",
        "http://127.0.0.1.example.org/",
        "",
    ],
)
def test_addresses_that_no_webhook_may_have(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        target_of(url, loopback_allowed=True)
    assert caught.value.field == "target"


@pytest.mark.parametrize("url", ["http://localhost:8065/hooks", "http://127.0.0.1/", "https://[::1]/", "http://127.9.9.9/", "http://localhost./"])
def test_this_machine_is_a_target_only_where_that_is_allowed(url: str) -> None:
    assert target_of(url, loopback_allowed=True).loopback
    with pytest.raises(InvalidInput):
        target_of(url, loopback_allowed=False)


def test_an_address_is_taken_apart() -> None:
    target = target_of("https://hooks.example.org:8443/desk?team=risk", loopback_allowed=False)
    assert (target.scheme, target.host, target.port, target.path) == ("https", "hooks.example.org", 8443, "/desk?team=risk")
    assert target.host_header == "hooks.example.org:8443"
    assert target_of("https://hooks.example.org", loopback_allowed=False).path == "/"
    assert target_of("http://[::1]/", loopback_allowed=True).host_header == "[::1]"


INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds keep credentials
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",  # 10.0.0.1 behind NAT64
    "2002:a00:1::",  # 10.0.0.1 behind 6to4
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_public_name_must_not_lead_inside(address: str) -> None:
    target = target_of("https://hooks.example.org/", loopback_allowed=True)
    for found in ([address], ["93.184.215.14", address]):
        with pytest.raises(InvalidInput):
            reachable_address(target, found, trusted_hosts=())


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
def test_other_spellings_of_this_machine_are_judged_by_what_they_mean(host: str) -> None:
    with pytest.raises(InvalidInput):
        reachable_address(target_of(f"https://{host}/", loopback_allowed=True), ["127.0.0.1"], trusted_hosts=())


def test_what_may_be_reached() -> None:
    public = target_of("https://hooks.example.org/", loopback_allowed=False)
    assert reachable_address(public, ["93.184.215.14", "2606:2800:21f:cb07::1"], trusted_hosts=()) == "93.184.215.14"
    assert reachable_address(public, ["10.1.2.3"], trusted_hosts=["hooks.example.org"]) == "10.1.2.3"
    here = target_of("http://localhost/", loopback_allowed=True)
    assert reachable_address(here, ["127.0.0.1", "::1"], trusted_hosts=()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://hooks.example.org/", []),
        ("https://hooks.example.org/", ["127.0.0.1"]),  # not even a host that is trusted
        ("https://hooks.example.org/", ["169.254.169.254"]),
        ("http://localhost/", ["10.0.0.1"]),
    ],
)
def test_what_may_not_be_reached_although_the_host_is_trusted(url: str, found: list[str]) -> None:
    with pytest.raises(InvalidInput):
        reachable_address(target_of(url, loopback_allowed=True), found, trusted_hosts=["hooks.example.org", "localhost"])
