"""Builds the Debian package: the program and its libraries as constraints/ pins them, in /opt/uac-trio.

    python -m tools.make_deb WHEEL DIRECTORY

Runs on the Debian that the package is for, with python3-venv and dpkg-dev: compiled libraries belong to one Python and
one architecture.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEBIAN = ROOT / "deploy" / "debian"
PYTHON = "/usr/bin/python3"
HOME = "/opt/uac-trio"
FILES = {
    "deploy/uac-trio.example.toml": "usr/share/doc/uac-trio/examples/uac-trio.toml",
    "deploy/uac-trio.service": "usr/lib/systemd/system/uac-trio.service",
    "deploy/uac-trio-recordings.service": "usr/lib/systemd/system/uac-trio-recordings.service",
    "deploy/debian/user.conf": "usr/lib/systemd/system/uac-trio.service.d/user.conf",
    "deploy/completion/uac-trio.bash": "usr/share/bash-completion/completions/uac-trio",
    "deploy/completion/_uac-trio": "usr/share/zsh/vendor-completions/_uac-trio",
    "deploy/completion/uac-trio.fish": "usr/share/fish/vendor_completions.d/uac-trio.fish",
    "deploy/debian/copyright": "usr/share/doc/uac-trio/copyright",
    "deploy/prometheus/uac-trio.rules.yml": "usr/share/doc/uac-trio/examples/uac-trio.rules.yml",
    "deploy/prometheus/uac-trio.dashboard.json": "usr/share/doc/uac-trio/examples/uac-trio.dashboard.json",
    "deploy/nginx.example.conf": "usr/share/doc/uac-trio/examples/nginx.conf",
    "README.md": "usr/share/doc/uac-trio/README.md",
    "README.ru.md": "usr/share/doc/uac-trio/README.ru.md",
    "deploy/uac-trio-recordings.example.toml": "usr/share/doc/uac-trio/examples/recordings.toml",
}
COMPRESSED = {
    "CHANGELOG.md": "usr/share/doc/uac-trio/changelog.gz",
    "deploy/uac-trio.1": "usr/share/man/man1/uac-trio.1.gz",
}


class CannotBuildError(Exception):
    """The package cannot be built on this machine; the text says why."""


def check_machine() -> None:
    """Raises CannotBuildError where this is no Debian with what the package is built by."""
    os_release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if os_release.get("ID") != "debian":
        raise CannotBuildError("a package for Debian is built on the Debian that it is for")
    if shutil.which("dpkg-deb") is None:
        raise CannotBuildError("there is no dpkg-deb (Debian's package dpkg)")
    if subprocess.run([PYTHON, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        raise CannotBuildError(f"{PYTHON} cannot make environments (Debian's package python3-venv)")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(each) for each in command], check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotBuildError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout.strip()


def make_environment(home: Path, wheel: Path, scratch: Path) -> None:
    """A virtual environment as it will be in /opt/uac-trio: without pip, and without the path where it was made."""
    run(PYTHON, "-m", "venv", scratch)
    run(PYTHON, "-m", "venv", "--without-pip", home)
    pip = (scratch / "bin" / "pip", "--python", home / "bin" / "python", "install", "--quiet", "--no-compile")
    run(*pip, "--require-hashes", "-r", ROOT / "constraints" / "postgresql.txt")
    run(*pip, "--no-deps", wheel)
    command = (home / "bin" / "uac-trio").read_text()
    for path in (home / "bin").iterdir():
        if not path.is_symlink():
            path.unlink()
    script = home / "bin" / "uac-trio"
    script.write_text(re.sub(r"\A#!.*", f"#!{HOME}/bin/python3", command))
    script.chmod(0o755)
    settings = home / "pyvenv.cfg"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith("command")]
    settings.write_text("\n".join(kept) + "\n")
    for path in home.rglob("direct_url.json"):
        path.unlink()
    for path in home.rglob("*.so*"):
        path.chmod(0o644)


def put_files(tree: Path) -> None:
    for source, target in FILES.items():
        path = tree / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, path)
    for source, target in COMPRESSED.items():
        path = tree / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress((ROOT / source).read_bytes(), mtime=0))
    command = tree / "usr/bin/uac-trio"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.symlink_to(f"{HOME}/bin/uac-trio")
    # Empty: setup or the administrator writes the configuration, so it may be no conffile (Debian policy 10.7.3).
    (tree / "etc/uac-trio").mkdir(parents=True)


def put_control(tree: Path, version: str) -> None:
    """What dpkg has to know: control, scripts, checksums."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    control = tree / "DEBIAN"
    control.mkdir()
    major, minor = run(PYTHON, "-c", "import sys; print(*sys.version_info[:2])").split()
    libc = run("dpkg-query", "--show", "--showformat=${Version}", "libc6").partition("-")[0]
    values = {
        "VERSION": version,
        "ARCHITECTURE": run("dpkg", "--print-architecture"),
        "INSTALLED_SIZE": str(sum(path.stat().st_size for path in files) // 1024 + 1),
        "PYTHON": f"{major}.{minor}",
        "NEXT_PYTHON": f"{major}.{int(minor) + 1}",
        "LIBC": f"libc6 (>= {libc})",
    }
    text = (DEBIAN / "control").read_text()
    (control / "control").write_text(re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text))
    for name in ("postinst", "prerm", "postrm"):
        shutil.copyfile(DEBIAN / name, control / name)
        (control / name).chmod(0o755)
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files]
    (control / "md5sums").write_text("".join(sums))


def make_deb(wheel: Path, to: Path) -> Path:
    """Build the package from a wheel of ours into a directory; its path. Raises CannotBuildError."""
    check_machine()
    os.umask(0o022)
    version = f"{wheel.name.split('-')[1]}+deb{platform.freedesktop_os_release()['VERSION_ID']}"
    with tempfile.TemporaryDirectory(prefix="uac-trio-deb-") as scratch:
        tree = Path(scratch, "tree")
        tree.mkdir()
        make_environment(tree / HOME.removeprefix("/"), wheel, Path(scratch, "pip"))
        put_files(tree)
        put_control(tree, version)
        path = to / f"uac-trio_{version}_{run('dpkg', '--print-architecture')}.deb"
        run("dpkg-deb", "--root-owner-group", "--build", tree, path)
    return path


if __name__ == "__main__":
    try:
        print(make_deb(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
    except CannotBuildError as why:
        sys.exit(f"no Debian package: {why}")
