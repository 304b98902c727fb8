"""What Asterisk says on its manager interface (AMI), and how to answer it. Bytes and values only, no I/O.

- message.py: Message, Event, Response: header lines with their names in any case
- parser.py: MessageParser: bytes to messages
- action.py: Login, Originate, ...: values that cannot carry a line end; encode() to bytes
- connection.py: AMIConnection: greeting, login, which answer belongs to which action
"""

from uac_trio.ami.action import (
    Action,
    Challenge,
    CoreSettings,
    CoreShowChannels,
    DeviceStateList,
    Events,
    ExtensionStateList,
    Filter,
    GetConfig,
    Hangup,
    ListCommands,
    Logoff,
    MD5Login,
    Originate,
    ParkedCalls,
    Ping,
    PJSIPShowEndpoints,
    PlainLogin,
    QueueStatus,
    ShowDialPlan,
    SIPpeers,
    encode,
    md5_key,
)
from uac_trio.ami.connection import TRANSITIONS, AMIConnection, Answer, Happening, Sent, State
from uac_trio.ami.message import (
    Banner,
    Event,
    LocalProtocolError,
    Message,
    RemoteProtocolError,
    Response,
    unescape_c,
)
from uac_trio.ami.parser import MAX_BANNER, MAX_MESSAGE, MessageParser, Wanted

__all__ = [
    "MAX_BANNER",
    "MAX_MESSAGE",
    "TRANSITIONS",
    "AMIConnection",
    "Action",
    "Answer",
    "Banner",
    "Challenge",
    "CoreSettings",
    "CoreShowChannels",
    "DeviceStateList",
    "Event",
    "Events",
    "ExtensionStateList",
    "Filter",
    "GetConfig",
    "Hangup",
    "Happening",
    "ListCommands",
    "LocalProtocolError",
    "Logoff",
    "MD5Login",
    "Message",
    "MessageParser",
    "Originate",
    "PJSIPShowEndpoints",
    "ParkedCalls",
    "Ping",
    "PlainLogin",
    "QueueStatus",
    "RemoteProtocolError",
    "Response",
    "SIPpeers",
    "Sent",
    "ShowDialPlan",
    "State",
    "Wanted",
    "encode",
    "md5_key",
    "unescape_c",
]
