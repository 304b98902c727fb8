"""What [vtiger] may say."""

from __future__ import annotations

import pytest

from uac_trio.crm.vtiger.account import CustomerForm, Flavour, VtigerAccount, file_url

URL = "http://crm.example/modules/PBXManager/callbacks/PBXManager.php"


def test_defaults() -> None:
    """SalesPlatform in Moscow, as the contract says; the secret is not in the repr."""
    account = VtigerAccount(url=URL, secret="abracadabra")

    assert (account.flavour, account.timezone, account.zone.key) == (
        Flavour.SALESPLATFORM,
        "Europe/Moscow",
        "Europe/Moscow",
    )
    assert "abracadabra" not in repr(account)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (URL, "crm.example"),
        ("https://crm.example:8443/x.php", "crm.example:8443"),
        ("http://user:password@crm.example/x.php", "crm.example"),
    ],
)
def test_host_for_messages(url: str, host: str) -> None:
    """Never with the password an address may hold."""
    assert VtigerAccount(url=url, secret="x").host == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example/x.php",
        "ftp://crm.example/",
        "http://",
        "http://crm:port/",
        "http://[::1",
        "http://c/#x",
        "http://c/?x=1",
        "http://c/a b",
        "http://c/\n",
        "http://\u0446\u0440\u043c/",
    ],
)
def test_unusable_address(url: str) -> None:
    """Refused, with an example of a usable one."""
    with pytest.raises(ValueError, match=r"expected something like http://crm\.example/modules"):
        VtigerAccount(url=url, secret="x")


@pytest.mark.parametrize("name", ["Moscow", "", "../etc/passwd", "/etc/localtime"])
def test_unknown_zone(name: str) -> None:
    """Refused when the configuration is read, not when the first call comes."""
    with pytest.raises(ValueError, match="time zone"):
        VtigerAccount(url=URL, secret="x", timezone=name)


def test_empty_secret() -> None:
    """A vTiger without a secret refuses every signature, so ours cannot be empty."""
    with pytest.raises(ValueError, match="secret is empty"):
        VtigerAccount(url=URL, secret="")


def test_customer_form_is_for_stock() -> None:
    """SalesPlatform's edition needs none; a key that does nothing is a mistake."""
    with pytest.raises(ValueError, match=r'customer_form = "national" is for flavour = "stock"'):
        VtigerAccount(url=URL, secret="x", customer_form=CustomerForm.NATIONAL)
    account = VtigerAccount(url=URL, secret="x", customer_form=CustomerForm.NATIONAL, flavour=Flavour.STOCK)
    assert account.customer_form is CustomerForm.NATIONAL


def test_file_of_the_crm() -> None:
    """It is where the CRM is; another address than the callback's usual one shows nothing of that."""
    callback = "http://crm.example/crm/modules/PBXManager/callbacks/PBXManager.php"
    assert file_url(callback, "modules/X/y.js") == "http://crm.example/crm/modules/X/y.js"
    assert file_url("http://crm.example/connector.php", "modules/X/y.js") == ""
