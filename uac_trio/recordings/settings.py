"""``[recordings]`` of the configuration."""

from __future__ import annotations

import attrs

from uac_trio.recordings.sound import TARGETS
from uac_trio.settings import addresses, setting, values
from uac_trio.settings.values import WrongValueError


def _converter(value: object) -> str:
    if value not in ("auto", "ffmpeg", "sox", "") and not (isinstance(value, str) and value.startswith("/")):
        raise WrongValueError('"auto", "ffmpeg", "sox", the path of one of these, or "" for none')
    return values.text(value)


@attrs.frozen(kw_only=True)
class RecordingsSettings:
    wait_seconds: float = attrs.field(
        default=600.0,
        metadata=setting(
            values.seconds(1, 86400),
            "How long a file may be missing or incomplete after the call. Then no link is sent to the CRM.",
        ),
    )
    link_days: int = attrs.field(
        default=0,
        metadata=setting(
            values.whole(0, 36500), "Days for which a link works; 0 = as long as the row of the recording is kept."
        ),
    )
    keep_days: int = attrs.field(
        default=365,
        metadata=setting(
            values.whole(0, 36500),
            "Days for which the row of a recording is kept: its call, where its file is. 0 = for ever.",
        ),
    )
    delete_files: bool = attrs.field(
        default=False,
        metadata=setting(values.flag, "When the row of a recording is deleted, its file is deleted as well."),
    )
    max_downloads: int = attrs.field(
        default=20,
        metadata=setting(values.whole(1, 1000), "Downloads at once; one more gets the status 503 with Retry-After."),
    )
    max_downloads_per_client: int = attrs.field(
        default=8,
        metadata=setting(
            values.whole(1, 1000),
            "Downloads at once to one address without the secret: a browser opens six connections. The CRM's proxy,"
            " one address for all users, has the secret and may use all of `max_downloads`.",
        ),
    )
    format: str = attrs.field(
        default="wav",
        metadata=setting(
            values.one_of(*TARGETS),
            "The format that listeners get. `wav`: what browsers play is sent as it is, the rest as wav. `mp3`, "
            "`opus`: everything is sent in this format.",
        ),
    )
    converter: str = attrs.field(
        default="auto",
        metadata=setting(_converter, '`auto`: ffmpeg, else sox; or the path of either; "" = nothing is converted.'),
    )
    convert_seconds: float = attrs.field(
        default=60.0, metadata=setting(values.seconds(1, 3600), "Timeout of a conversion; then the original is sent.")
    )
    conversions: int = attrs.field(default=2, metadata=setting(values.whole(1, 64), "Conversions at once."))
    cache: str = attrs.field(
        default="",
        metadata=setting(
            values.or_none(values.absolute_path),
            'The directory of converted files; "" = `recordings-cache` beside the store.',
        ),
    )
    cache_mb: int = attrs.field(
        default=500,
        metadata=setting(
            values.whole(1, 1_000_000), "Size limit of the cache in MiB; the least recently used files are evicted."
        ),
    )


@attrs.frozen(kw_only=True)
class RecordingRoots:
    """Where one PBX's recordings are on this machine: ``recordings`` of ``[[pbx]]``."""

    paths: tuple[str, ...] = attrs.field(
        default=(),
        metadata=setting(
            values.absolute_paths, "Directories beneath which this PBX's recordings are.", key="recordings"
        ),
    )


@attrs.frozen(kw_only=True)
class HostSettings:
    """``recordings_url`` of one ``[[pbx]]`` and the settings that belong to it."""

    pbx: str
    """The name of the PBX."""
    url: str = attrs.field(
        metadata=setting(
            addresses.address_without_login("http://pbx-host:5001", "recordings_secret"),
            "The URL of `uac-trio serve-recordings`.",
            key="recordings_url",
        )
    )
    secret: str = attrs.field(
        repr=False,
        metadata=setting(values.filled, "`[serve] secret` of that machine.", key="recordings_secret", secret=True),
    )
    ca_file: str | None = attrs.field(
        default=None,
        metadata=setting(
            values.absolute_path,
            "PEM file of the certificate authorities to trust for https instead of the system's.",
            key="recordings_ca",
        ),
    )
