"""``[flight_recorder]`` of the configuration."""

from __future__ import annotations

from pathlib import Path

import attrs

from uac_trio.settings import setting, values


@attrs.frozen(kw_only=True)
class FlightRecorderSettings:
    enabled: bool = attrs.field(
        default=True,
        metadata=setting(
            values.flag, "Whether the last hours of AMI are kept, for `uac-trio explain` and for a support case."
        ),
    )
    directory: str = attrs.field(
        default="",
        metadata=setting(
            values.or_none(values.absolute_path),
            'Where; "" = `flight-recorder` beside the store, with PostgreSQL in /var/lib/uac-trio.',
        ),
    )
    hours: int = attrs.field(
        default=24,
        metadata=setting(values.whole(1, 744), "How many hours are kept: the files hold telephone numbers and names."),
    )
    megabytes: int = attrs.field(
        default=64,
        metadata=setting(
            values.whole(4, 100_000), "How much disk all files may take together; the oldest are deleted first."
        ),
    )

    def place(self, beside: Path | None) -> Path:
        """The directory. ``beside``: where the store's file is; None: it has none."""
        if self.directory:
            return Path(self.directory)
        return (beside or Path("/var/lib/uac-trio")) / "flight-recorder"
