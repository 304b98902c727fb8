"""The seam: what each CRM has, and what of a request may be shown."""

from __future__ import annotations

import pytest

from uac_trio.crm.protocol import CRM, CRMRequest, CRMSettings, Judge, Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.crm.webhook import WebhookSettings

SETTINGS: list[CRMSettings] = [
    VtigerSettings(url="http://crm/c.php", secret="s3cret"),
    VtigerSettings(url="http://crm/c.php", secret="s3cret", flavour=Flavour.STOCK),
    WebhookSettings(url="http://crm/", secret="s3cret-of-a-webhook"),
]


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("settings", SETTINGS, ids=["salesplatform", "stock", "webhook"])
def test_every_crm_has_the_whole_seam(settings: CRMSettings) -> None:
    """Each member of the protocols, the judge's too; the secret is in no repr."""
    crm = settings.crm(Surroundings(public_url="http://c"))
    assert {name for name in members(CRM) if not hasattr(crm, name)} == set()
    assert {name for name in members(Judge) if not hasattr(crm.new_judge(), name)} == set()
    assert settings.longest_public_url > 100
    assert "s3cret" not in repr(crm)


def test_a_request_is_shown_without_its_body() -> None:
    """Secret and numbers are in body and headers."""
    request = CRMRequest(name="x", url="http://crm/", body=b"s3cret", headers={"X": "s3cret"})
    assert "s3cret" not in repr(request)


def test_surroundings_of_a_replay() -> None:
    """Without a configuration no number is an employee's, and there are no links."""
    none = Surroundings()
    assert (none.is_extension("101"), none.public_url, none.owner_url, none.region) == (False, "", "", "")
