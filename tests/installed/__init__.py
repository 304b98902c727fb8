"""Trials of the Debian package on a Debian of its own: "nox -s deb" and "nox -s systemd"."""
