"""What a host, a network and an address of TOML become, and what is expected instead of a wrong one."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from uac_trio.settings import addresses
from uac_trio.settings.values import Read, WrongValueError

WEB = addresses.web_address("http://here:1")
CLOSED = addresses.address_without_login("http://here:1", "the_secret")


@pytest.mark.parametrize(
    ("read", "value", "becomes"),
    [
        (addresses.host, "pbx_1.example", "pbx_1.example"),
        (addresses.host, "FE80::1", "fe80::1"),
        (addresses.hosts, ["a", "::1"], ("a", "::1")),
        (addresses.bind, "[::1]:80", "[::1]:80"),
        (addresses.networks, ["10.0.0.0/8", "::1"], (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
        (WEB, "https://u:p@crm:81/x/", "https://u:p@crm:81/x"),
        (CLOSED, "http://pbx:5001/", "http://pbx:5001"),
    ],
)
def test_address(read: Read, value: object, becomes: object) -> None:
    """A right one, as the settings class has it."""
    assert read(value) == becomes


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (addresses.host, "pbx:5038", "a host name or an address, without a port"),
        (addresses.host, "", "a host name or an address, without a port"),
        (addresses.host, None, "a host name or an address, without a port"),
        (addresses.hosts, "a", "a list of host names, without ports, such as"),
        (addresses.bind, "5000", "an address and a port, such as 0.0.0.0:5000"),
        (addresses.networks, "10.0.0.1", "a list of networks, such as"),
        (addresses.networks, ["10.0.0.1/8"], 'a list of networks, such as ["192.168.1.0/24", "10.0.0.5"]; 10.0.0.1/8'),
        (WEB, "ftp://x", "an address such as http://here:1"),
        (WEB, "http://", "an address such as http://here:1"),
        (WEB, "http://x?a=1", "an address such as http://here:1"),
        (WEB, "http://x#a", "an address such as http://here:1"),
        (WEB, "http://x y", "an address such as http://here:1"),
        (WEB, "http://x:port", "an address such as http://here:1"),
        (WEB, "http://п.рф", "an address such as http://here:1"),
        (CLOSED, "http://u:p@x", "an address without user name and password: put the secret into the_secret"),
    ],
)
def test_wrong_address(read: Read, value: object, expected: str) -> None:
    """The error completes the sentence "expected ..."."""
    with pytest.raises(WrongValueError) as wrong:
        read(value)
    assert wrong.value.expected.startswith(expected)
