"""What ``CoreShowChannels`` would list at any moment of a complete stream of events."""

from __future__ import annotations

import attrs

from uac_trio.ami.message import Event

_FIELDS = (
    "Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "ConnectedLineNum",
    "ConnectedLineName", "Language", "AccountCode", "Context", "Exten", "Priority", "Uniqueid", "Linkedid",
)  # fmt: skip
_PREFIXES = (
    "", "Dest", "LocalOne", "LocalTwo", "Transferer", "Transferee", "OrigTransferer", "SecondTransferer",
    "TransferTarget", "Target", "Parkee", "Retriever",
)  # fmt: skip


@attrs.define
class Panel:
    """Knows the live channels of a PBX from all of its events."""

    _channels: dict[str, dict[str, str]] = attrs.field(factory=dict)
    _gone: set[str] = attrs.field(factory=set)
    _made_at: dict[str, float] = attrs.field(factory=dict)

    @property
    def uniqueids(self) -> list[str]:
        return list(self._channels)

    def see(self, event: Event, at: float) -> None:
        if event.name in ("CoreShowChannel", "Cdr"):
            return
        for prefix in _PREFIXES:
            uniqueid = event.get(prefix + "Uniqueid")
            if prefix + "Channel" in event and prefix + "ChannelState" in event and uniqueid not in self._gone:
                self._made_at.setdefault(uniqueid, at)
                fields = self._channels.setdefault(uniqueid, {"Application": "", "ApplicationData": "", "BridgeId": ""})
                fields |= {name: event.get(prefix + name) for name in _FIELDS if prefix + name in event}
        here = self._channels.get(event.get("Uniqueid"))
        match event.name:
            case "AgentCalled" | "DialBegin":
                self._dialled(event)
            case "Newexten" if here is not None:
                here |= {"Application": event.get("Application"), "ApplicationData": event.get("AppData")}
            case "BridgeEnter" if here is not None:
                here["BridgeId"] = event.get("BridgeUniqueid")
                if event.get("BridgeType") == "basic" and "Linkedid" in event:  # the others' change raises no event
                    for mate in self._channels.values():
                        if mate["BridgeId"] == here["BridgeId"]:
                            mate["Linkedid"] = here["Linkedid"]
            case "BridgeLeave" if here is not None and here["BridgeId"] == event.get("BridgeUniqueid"):
                here["BridgeId"] = ""
            case "Hangup":
                self._channels.pop(event.get("Uniqueid"), None)
                self._gone.add(event.get("Uniqueid"))
            case _:
                pass

    def _dialled(self, event: Event) -> None:
        channel = self._channels.get(event.get("DestUniqueid"))
        if channel is None or channel["Application"] == "AppQueue":
            return
        application = "AppDial" if "Uniqueid" in event else "AppDial2"
        application = "AppQueue" if event.name == "AgentCalled" else application
        channel |= {"Application": application, "ApplicationData": "(Outgoing Line)"}

    def listing(self, at: float, action_id: str = "uac-1") -> list[Event]:
        """The items and the end of the list."""
        items = [
            Event((
                ("Event", "CoreShowChannel"), ("ActionID", action_id),
                *((name, fields[name]) for name in _FIELDS if name in fields),
                ("Application", fields["Application"]), ("ApplicationData", fields["ApplicationData"]),
                ("Duration", _clock(at - self._made_at[uniqueid])), ("BridgeId", fields["BridgeId"]),
            ))
            for uniqueid, fields in self._channels.items()
        ]  # fmt: skip
        end = (
            ("Event", "CoreShowChannelsComplete"), ("ActionID", action_id), ("EventList", "Complete"),
            ("ListItems", str(len(items))),
        )  # fmt: skip
        return [*items, Event(end)]


def _clock(secs: float) -> str:
    minutes, second = divmod(int(secs), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}"
