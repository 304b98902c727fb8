"""Plays the recordings that the CRM has links to, as its users do, and compares them with what the phones said."""

from __future__ import annotations

import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from lab.sound import seconds_of, tones_in
from lab.truth import Truth
from uac_trio.demo.crm import CallRow, CRMReply, StandInCRM
from uac_trio.demo.listen import Listened, listen

TOLERANCE = 1.5
"""Seconds between what the phones did and what is recorded: Asterisk needs some time to bridge, and so do we."""


@attrs.define(kw_only=True)
class AttentiveCRM(StandInCRM):
    """A stand-in CRM that remembers when it got the link of each recording."""

    linked_at: dict[str, float] = attrs.field(factory=dict)

    def callback(self, form: Mapping[str, str], now: float) -> CRMReply:
        if form.get("callstatus") == "Record":
            self.linked_at.setdefault(form.get("recordinglink", ""), now)
        return super().callback(form, now)


@attrs.frozen(kw_only=True)
class Recorded:
    """What a row's link plays."""

    extension: str
    link: str
    secs: float
    sound: Listened
    written_at: float | None
    """When the file with just this content was written last; None: no file has it."""


def _written(monitor: Path) -> dict[bytes, float]:
    """By the content of each file, when it was written last."""
    return {file.read_bytes(): file.stat().st_mtime for file in monitor.glob("**/*.wav")}


async def recordings_of(
    rows: Sequence[CallRow], extension_of: Mapping[str, str], secret: str, monitor: Path
) -> tuple[list[Recorded], list[str]]:
    """Every recording of these rows, fetched as SalesPlatform's proxy does, and what cannot be played."""
    heard, wrong = [], []
    files = _written(monitor)
    for row in rows:
        if not row.recordingurl:
            continue
        extension = extension_of.get(row.user or "", "")
        sound = await listen(row.recordingurl, secret)
        try:
            secs = seconds_of(sound.body)
        except (wave.Error, EOFError) as error:
            wrong.append(f"{extension}: {row.recordingurl} gives {len(sound.body)} bytes that do not play: {error}")
            continue
        heard.append(
            Recorded(
                extension=extension,
                link=row.recordingurl,
                secs=secs,
                sound=sound,
                written_at=files.get(sound.body),
            )
        )
    return heard, wrong


def complaints_about(
    heard: Sequence[Recorded], calls: Sequence[Truth], linked_at: Mapping[str, float], tone_of: Mapping[str, int]
) -> list[str]:
    """What is wrong with them: too early, too short, the wrong voices."""
    wrong: list[str] = []
    for one in heard:
        if one.sound.headers.get("content-type") != "audio/wav":
            wrong.append(f"{one.extension}: its recording is {one.sound.headers.get('content-type')}")
        if one.written_at is None:
            wrong.append(f"{one.extension}: no file of MixMonitor is what its link plays")
        elif one.written_at >= linked_at[one.link]:
            late = one.written_at - linked_at[one.link]
            wrong.append(f"{one.extension}: its recording was delivered {late:.1f} s before MixMonitor had written it")
    for call in calls:
        for extension, wanted in call.get("heard", {}).items():
            found = next((one for one in heard if one.extension == extension), None)
            if found is None:
                wrong.append(f"{extension}: nothing to be heard")
                continue
            if abs(found.secs - wanted["secs"]) > TOLERANCE:
                wrong.append(f"{extension}: its recording plays {found.secs:.1f} s, not {wanted['secs']}")
            tones = tones_in(found.sound.body, list(tone_of.values()))
            voices = {phone for phone, tone in tone_of.items() if tone in tones}
            if voices != set(wanted["voices"]):
                wrong.append(f"{extension}: its recording has {sorted(voices)}, not {sorted(wanted['voices'])}")
    return wrong
