"""vTiger CRM: SalesPlatform's edition and the stock one. ``VtigerSettings`` is the entry point."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.recording import ADDED
from uac_trio.crm.vtiger.account import CustomerForm, Flavour, VtigerAccount
from uac_trio.crm.vtiger.dialects import HANGUPS, SalesPlatform, Stock
from uac_trio.crm.vtiger.field import MAX_LINK
from uac_trio.crm.vtiger.request import Step

__all__ = [
    "DIALECTS",
    "HANGUPS",
    "CustomerForm",
    "Flavour",
    "SalesPlatform",
    "Step",
    "Stock",
    "VtigerAccount",
    "VtigerSettings",
]

DIALECTS: Mapping[Flavour, type[SalesPlatform | Stock]] = {
    Flavour.SALESPLATFORM: SalesPlatform,
    Flavour.STOCK: Stock,
}


@attrs.frozen(kw_only=True)
class VtigerSettings(VtigerAccount):
    """``[vtiger]`` of the configuration."""

    @property
    def longest_public_url(self) -> int:
        """vTiger keeps 200 characters of a link."""
        return MAX_LINK - ADDED

    def crm(self, surroundings: Surroundings) -> CRM:
        return DIALECTS[self.flavour](self, surroundings)
