"""``[recordings]`` of the configuration."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class RecordingsSettings:
    wait_seconds: float = 600.0
    """How long a file may be missing or incomplete after the call before it is given up and the CRM is told no link."""
    link_days: int = 0
    """Days for which a link works; 0 = as long as the recording is remembered."""
    keep_days: int = 365
    """Days for which a recording is remembered: whose it is, where its file is. 0 = for ever."""
    delete_files: bool = False
    """When a recording is forgotten, its file is deleted as well."""
    max_downloads: int = 20
    """Recordings sent at once; one more client is told to come again (503)."""
    max_downloads_per_client: int = 8
    """Of these, to one address that does not know the secret: a browser opens six connections. The CRM's proxy, one
    address for all users, knows it and may have all."""
    format: str = "wav"
    """What listeners get. ``wav``: what browsers play goes out as it is, all else as wav; ``mp3``, ``opus``: all so."""
    converter: str = "auto"
    """``auto``: ffmpeg, else sox; or the path of either; "" = nothing is converted."""
    convert_seconds: float = 60.0
    """A conversion that takes longer is ended; the original goes out."""
    conversions: int = 2
    """Conversions at once."""
    cache: str = ""
    """The directory of converted files; "" = ``recordings-cache`` beside the store."""
    cache_mb: int = 500
    """How much of them is kept, in MiB; what was not asked for longest goes first."""
