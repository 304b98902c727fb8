"""What vTiger wants to hear, and what it asks for. No I/O, no clock."""

from uac_trio.vtiger.account import Flavour, VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step
from uac_trio.vtiger.translate import HANGUPS, Translator

__all__ = ["HANGUPS", "CallbackRequest", "Flavour", "Step", "Translator", "VtigerAccount"]
