"""The vTiger we talk to: where it is, how it knows us, which of its two dialects it speaks, in which zone it counts."""

from __future__ import annotations

import enum
import re
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import attrs

from uac_trio.settings import setting, values


class Flavour(enum.Enum):
    """Which PBXManager module answers: they keep rows differently (one row per call and user, or one per call)."""

    SALESPLATFORM = "salesplatform"
    STOCK = "stock"


class CustomerForm(enum.Enum):
    """How a stock vTiger gets numbers of ``[calls] region``, by which it looks for the customer."""

    AS_SHOWN = "as shown"
    """As the PBX shows them."""
    NATIONAL = "national"
    """Without country code and trunk prefix: ``9161234567``. Stock compares the beginning or the end of the numbers in
    its cards (PBXManager_Record_Model::lookUpRelatedWithNumber), so this is found however the card has it."""


def without_login(url: str) -> str:
    """An address less the user name and password in it: as it may be shown."""
    return re.sub(r"//[^/?#]*@", "//", url, count=1)


_CALLBACK = "modules/PBXManager/callbacks/PBXManager.php"


def file_url(callback: str, path: str) -> str:
    """Where the file of the CRM at ``path``, from its root, is; "" if the address of the callback has another path."""
    return callback.removesuffix(_CALLBACK) + path if callback.endswith(_CALLBACK) else ""


def _is_web_address(_: object, __: object, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment and not parts.query
        usable = usable and url.isascii() and not re.search(r"[\s\x00-\x1f]", url)
        _ = parts.port  # raises ValueError when it is no number
    except ValueError:
        usable = False
    if not usable:
        shown = re.sub(r"//.*@", "//***@", url)  # a password may have made it wrong, by a / in it
        raise ValueError(
            f"{shown!r} is not the address of vTiger's callback; expected something like "
            "http://crm.example/modules/PBXManager/callbacks/PBXManager.php"
        )


def _is_zone(_: object, __: object, name: str) -> None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{name!r} is not a time zone's name") from error
    except KeyError as error:
        raise ValueError(
            f"there is no time zone {name!r}; expected the value of $default_timezone in vTiger's config.inc.php, "
            "such as Europe/Moscow or UTC"
        ) from error


def _is_not_empty(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value:
        raise ValueError(
            f"{attribute.name} is empty; expected the secret key of vTiger's PBXManager settings (vtigersecretkey)"
        )


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@attrs.frozen(kw_only=True)
class VtigerAccount:
    """Raises ValueError, in words, for an address, a zone or a secret that cannot be right."""

    url: str = attrs.field(
        validator=_is_web_address,
        converter=_without_slash,
        repr=lambda url: repr(without_login(url)),
        metadata=setting(
            values.text,
            "The full address of the callback, PBXManager.php; redirects are not followed. May hold a user name and"
            " password for the web server in front of the CRM; these are never shown.",
        ),
    )
    secret: str = attrs.field(
        repr=False,
        validator=_is_not_empty,
        metadata=setting(values.filled, "Sent as `vtigersignature` with every request.", secret=True),
    )
    flavour: Flavour = attrs.field(
        default=Flavour.SALESPLATFORM,
        metadata=setting(
            values.member(Flavour),
            "Whose edition it is: SalesPlatform's has a row for each employee's part in a call, stock one for each "
            "call.",
        ),
    )
    customer_form: CustomerForm = attrs.field(
        default=CustomerForm.AS_SHOWN,
        metadata=setting(
            values.member(CustomerForm),
            "How `flavour = \"stock\"` gets customers' numbers; SalesPlatform's edition compares the last ten digits.",
        ),
    )
    timezone: str = attrs.field(
        default="Europe/Moscow",
        validator=_is_zone,
        metadata=setting(values.text, "IANA name of the CRM's `$default_timezone`: every time we send is read in it."),
    )

    def __attrs_post_init__(self) -> None:
        if self.customer_form is not CustomerForm.AS_SHOWN and self.flavour is not Flavour.STOCK:
            raise ValueError(
                f'customer_form = "{self.customer_form.value}" is for flavour = "stock"; SalesPlatform\'s edition '
                "finds customers by the last ten digits: leave it out"
            )

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def host(self) -> str:
        """Host and port for messages and logs: never a user name or password written into the address."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
