"""``[recordings]`` of the configuration."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class RecordingsSettings:
    wait_seconds: float = 600.0
    """How long a file may be missing or incomplete after the call. Then no link is sent to the CRM."""
    link_days: int = 0
    """Days for which a link works; 0 = as long as the row of the recording is kept."""
    keep_days: int = 365
    """Days for which the row of a recording is kept: its call, where its file is. 0 = for ever."""
    delete_files: bool = False
    """When the row of a recording is deleted, its file is deleted as well."""
    max_downloads: int = 20
    """Downloads at once; one more gets the status 503 with Retry-After."""
    max_downloads_per_client: int = 8
    """Downloads at once to one address without the secret: a browser opens six connections. The CRM's proxy, one
    address for all users, has the secret and may use all of ``max_downloads``."""
    format: str = "wav"
    """The format that listeners get. ``wav``: what browsers play is sent as it is, the rest as wav. ``mp3``, ``opus``:
    everything is sent in this format."""
    converter: str = "auto"
    """``auto``: ffmpeg, else sox; or the path of either; "" = nothing is converted."""
    convert_seconds: float = 60.0
    """Timeout of a conversion; then the original is sent."""
    conversions: int = 2
    """Conversions at once."""
    cache: str = ""
    """The directory of converted files; "" = ``recordings-cache`` beside the store."""
    cache_mb: int = 500
    """Size limit of the cache in MiB; the least recently used files are evicted."""


@attrs.frozen(kw_only=True)
class HostSettings:
    """``recordings_url`` of one ``[[pbx]]`` and the settings that belong to it."""

    pbx: str
    """The name of the PBX."""
    url: str
    """The URL of ``uac-trio serve-recordings``."""
    secret: str = attrs.field(repr=False)
    """``[serve] secret`` of that machine."""
    ca_file: str | None = None
    """PEM file of the certificate authorities to trust for https instead of the system's."""
