"""Builds a release into an empty directory: wheel, sdist, Debian package, notes, checksums.

    python -m tools.make_release DIRECTORY

The same commit gives the same wheel and sdist: their times are those of the commit.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tools.make_deb import CannotBuildError, make_deb
from tools.release_notes import notes
from uac_trio import __version__

ROOT = Path(__file__).resolve().parent.parent


def git(*arguments: str) -> str:
    """What git prints, or "" where this is no clone (an unpacked sdist)."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def build_python(to: Path) -> Path:
    """The sdist, and the wheel built from it; the wheel's path."""
    times = {"SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct") or "1795413070"}
    hatchling = [sys.executable, "-m", "hatchling", "build", "--directory", str(to)]
    for target in ("sdist", "wheel"):
        subprocess.run([*hatchling, "--target", target], cwd=ROOT, env={**os.environ, **times}, check=True)
    return next(to.glob("*.whl"))


def make_release(to: Path) -> None:
    if to.exists() and any(to.iterdir()):
        sys.exit(f"{to} is not empty: a release is built into an empty directory")
    if git("status", "--porcelain"):
        print("the tree has changes that are not committed: this is a trial, no release")
    tag = git("tag", "--points-at", "HEAD")
    if tag and tag != __version__:
        sys.exit(f"the commit has the tag {tag}, the version is {__version__}: change uac_trio/__init__.py or the tag")
    try:
        text = notes(__version__)
    except LookupError as why:
        sys.exit(str(why.args[0]))
    to.mkdir(parents=True, exist_ok=True)
    wheel = build_python(to)
    try:
        make_deb(wheel, to)
    except CannotBuildError as why:
        print(f"SKIPPED: the Debian package: {why}")
    (to / "NOTES.md").write_text(text, encoding="utf-8")
    files = sorted(path for path in to.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (to / "SHA256SUMS").write_text(sums)
    print(sums, end="")


if __name__ == "__main__":
    make_release(Path(sys.argv[1]).resolve())
