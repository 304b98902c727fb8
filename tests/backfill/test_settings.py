from __future__ import annotations

import attrs
import pytest

from uac_trio.backfill.settings import CdrSettings
from uac_trio.settings import Setting
from uac_trio.settings.values import WrongValueError

ADDRESS, ZONE = (attrs.fields_dict(CdrSettings)[name].metadata[Setting].read for name in ("address", "zone"))


@pytest.mark.parametrize(
    "address",
    [
        "mysql+pymysql://uac:s@127.0.0.1/asteriskcdrdb",
        "mysql+pymysql://uac@/asteriskcdrdb?unix_socket=/run/mysqld/mysqld.sock",
        "postgresql+psycopg://uac:s@db/asterisk?table=cdr",
        "csv:///var/log/asterisk/cdr-csv/Master.csv",
        "sqlite:////var/log/asterisk/master.db",
    ],
)
def test_addresses(address: str) -> None:
    assert ADDRESS(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "Master.csv",
        "mysql://uac@127.0.0.1/asteriskcdrdb",
        "csv://host/Master.csv",
        "csv://",
        "mysql+pymysql://h",
        7,
    ],
)
def test_what_is_none(address: object) -> None:
    with pytest.raises(WrongValueError):
        ADDRESS(address)


def test_zones() -> None:
    assert ZONE("Europe/Moscow") == "Europe/Moscow"
    with pytest.raises(WrongValueError, match="name of a time zone"):
        ZONE("Moscow")


def test_the_password_is_in_no_text() -> None:
    assert "secret" not in repr(CdrSettings(pbx="main", address="mysql+pymysql://uac:secret@h/d"))
