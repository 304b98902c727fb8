"""Which settings classes make up each table. The keys of a table are the described attributes of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uac_trio.ami_client.server import AMIServer
from uac_trio.backfill.settings import CdrSettings
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.click import Click2CallRules, Route
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.logs import LogSettings
from uac_trio.recordings.settings import HostSettings, RecordingRoots, RecordingsSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.store.settings import OutboxSettings
from uac_trio.web.settings import CompanionSettings, ServeSettings, WebSettings
from uac_trio.working_hours import WorkingHours

Tables = Mapping[str, tuple[type[Any], ...]]

TABLES: Tables = {
    "pbx": (AMIServer, Route, RecordingRoots, HostSettings, CdrSettings),
    "calls": (TrackerRules,),
    "click2call": (Click2CallRules,),
    "route": (ResponsibleRules,),
    "http": (WebSettings,),
    "companion": (CompanionSettings,),
    "recordings": (RecordingsSettings,),
    "store": (OutboxSettings,),
    "sender": (SenderSettings,),
    "flight_recorder": (FlightRecorderSettings,),
    "alerts": (WorkingHours,),
    "log": (LogSettings,),
}
"""Of the daemon, except the CRM's table, which ``crms.py`` finds."""

SERVE_TABLES: Tables = {"serve": (ServeSettings,), "log": (LogSettings,)}
"""Of ``uac-trio serve-recordings``."""


def table_of(settings: type[Any]) -> str:
    """The name of the table that ``settings`` describes."""
    return next(name for name, classes in {**TABLES, **SERVE_TABLES}.items() if settings in classes)
