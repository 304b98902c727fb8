"""HTTP for vTiger and for supervisors: Quart-Trio under hypercorn."""

from uac_trio.web.app import Health, create_app
from uac_trio.web.click2call import Click2Call, Originate
from uac_trio.web.monitor import Monitor
from uac_trio.web.own_hosts import own_hosts
from uac_trio.web.recordings import Playback
from uac_trio.web.recordings_host import ServeSettings, create_recordings_app
from uac_trio.web.route import Routing, log_answer
from uac_trio.web.server import CannotListenError, WebSettings, parse_bind, serve_web
from uac_trio.web.wrong_secrets import WrongSecrets

__all__ = [
    "CannotListenError",
    "Click2Call",
    "Health",
    "Monitor",
    "Originate",
    "Playback",
    "Routing",
    "ServeSettings",
    "WebSettings",
    "WrongSecrets",
    "create_app",
    "create_recordings_app",
    "log_answer",
    "own_hosts",
    "parse_bind",
    "serve_web",
]
