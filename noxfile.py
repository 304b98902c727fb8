"""What is checked, and how: ``nox`` runs the default sessions, ``nox -s NAME`` one, ``nox -l`` lists them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

# Rooms without I/O, and how much of them, branches included, the tests have to reach.
PURE_ROOMS = ",".join(
    f"uac_trio/{room}"
    for room in ("ami/*", "calls/*", "crm/*", "anonymise.py", "pipeline.py", "replay.py", "transcript/*")
)
PURE_FLOOR = 94
PEERS = ("panoramisk==1.4", "aiohttp==3.*")
FLOOR = 93

CONSTRAINTS = {
    "run": ("pyproject.toml",),
    "postgresql": ("pyproject.toml", "--extra", "postgresql"),
    "mysql": ("pyproject.toml", "--extra", "mysql"),
    "checks": ("pyproject.toml", "--group", "checks"),
    "lint": ("--group", "lint"),
    "build": ("--group", "build"),
    "docs": ("--group", "docs"),
    "nox": ("--group", "nox"),
    "lock": ("--group", "lock"),
}
"""The files of constraints/, and of which requirements of pyproject.toml each has the versions and hashes."""

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
# The tests on the Python that runs nox; "nox -s tests" takes every one of the classifiers that is installed.
nox.options.sessions = ["lint", "types", "imports", f"tests-{HERE if HERE in PYTHONS else PYTHONS[-1]}"]


def install(session: nox.Session, name: str, *, itself: bool = True) -> None:
    """What constraints/NAME.txt pins, files with other hashes refused; and the package itself."""
    session.install("--require-hashes", "-r", f"constraints/{name}.txt")
    if itself:
        session.install("--no-deps", "--no-build-isolation", ".")


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: faults and format."""
    install(session, "lint", itself=False)
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, tests included."""
    install(session, "checks")
    session.run("mypy", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    """The import contract of pyproject.toml: who may know whom."""
    install(session, "checks")
    session.run("lint-imports")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """pytest with branch coverage, then the installed package from an empty directory. Arguments go to pytest."""
    install(session, "checks")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    data = {"COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    # As many processes as there are cores; each, and each that a test starts, writes a file of what it ran.
    session.run("coverage", "erase", env=data)
    pytest = ("coverage", "run", "-m", "pytest")
    session.run(*pytest, "-m", "not clock", "-n", "auto", "--dist", "worksteal", env=data)
    session.run(*pytest, "-m", "clock", env=data)
    session.run("coverage", "combine", "--quiet", env=data)
    session.run("coverage", "report", f"--include={PURE_ROOMS}", f"--fail-under={PURE_FLOOR}", env=data)
    session.run("coverage", "report", f"--fail-under={FLOOR}", env=data)
    # The tests read the working tree; what a user installs must hold all its files as well.
    old = str(Path("tests/import_config/class_config.txt").resolve())
    session.chdir(session.create_tmp())
    session.run("uac-trio", "--version")
    typed = "import importlib.resources as r; assert r.files('uac_trio').joinpath('py.typed').is_file(), 'no py.typed'"
    unit = "import importlib.resources as r; assert r.files('uac_trio.setup').joinpath('uac-trio.service').is_file()"
    session.run("python", "-c", typed)
    session.run("python", "-c", unit)
    with Path("uac-trio.toml").open("w") as file:
        session.run("uac-trio", "import-config", old, stdout=file, stderr=None)
    session.run("uac-trio", "check", "--config", "uac-trio.toml")


@nox.session
def postgres(session: nox.Session) -> None:
    """The tests of the outbox and of back-fill on a PostgreSQL of their own as well (Debian's package postgresql)."""
    install(session, "checks")
    session.run("pytest", "tests/store", "tests/backfill", *session.posargs, env={"UAC_TEST_POSTGRESQL": "1"})


@nox.session
def mariadb(session: nox.Session) -> None:
    """Back-fill from FreePBX's tables in a MariaDB of its own (Debian's package mariadb-server)."""
    install(session, "checks")
    session.run("pytest", "tests/backfill", *session.posargs, env={"UAC_TEST_MARIADB": "1"})


@nox.session
def soak(session: nox.Session) -> None:
    """Recorded calls through real connectors while faults strike: 10 minutes on SQLite, 10 on PostgreSQL with two.

    Arguments (--minutes, --seed, --store, --connectors) make it one run with these.
    """
    install(session, "checks")
    if session.posargs:
        session.run("python", "-m", "tests.soak", *session.posargs)
        return
    session.run("python", "-m", "tests.soak", "--store", "sqlite")
    session.run("python", "-m", "tests.soak", "--store", "postgresql", "--connectors", "2")


@nox.session
def lab(session: nox.Session) -> None:
    """Real Asterisks with real phones on loopback against the real daemon (lab/README.md). Needs root and Debian."""
    install(session, "checks")
    session.run("python", "-m", "lab", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The table of benchmarks/, beside a peer in an environment of its own. Arguments go to it."""
    install(session, "checks")
    peers = Path(session.create_tmp()).resolve() / "peers"
    session.run("python", "-m", "venv", "--clear", str(peers))
    python = str(peers / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", *PEERS, external=True)
    session.run("python", "benchmarks/table.py", "--peer-python", python, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, build/site: static, without the network; a link that leads nowhere fails it."""
    install(session, "docs", itself=False)
    site = "build/site"
    shutil.rmtree(site, ignore_errors=True)
    if shutil.which("dot") is None:
        session.warn("diagrams stay text: there is no dot (Debian's package graphviz)")
    options = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--jobs", "auto")
    session.run("sphinx-build", *options, "--conf-dir", "docs/site", "--doctree-dir", session.create_tmp(), ".", site)
    session.run("python", "-m", "tools.check_site", site)


@nox.session
def release(session: nox.Session) -> None:
    """A release into an empty directory, dist or the one given (docs/releasing.md), whose wheel is then tried."""
    install(session, "build", itself=False)
    dist = Path(*session.posargs[:1] or ["dist"]).resolve()
    session.run("python", "-m", "tools.make_release", str(dist))
    (wheel,) = dist.glob("*.whl")
    trial = Path(session.create_tmp()).resolve() / "trial"
    session.run("python", "-m", "venv", "--clear", str(trial))
    pip = (str(trial / "bin" / "pip"), "install", "--quiet")
    session.run(*pip, "--require-hashes", "-r", "constraints/run.txt", external=True)
    session.run(*pip, "--no-deps", str(wheel), external=True)
    session.chdir(session.create_tmp())
    session.run(str(trial / "bin" / "uac-trio"), "--version", external=True)
    session.run(str(trial / "bin" / "uac-trio"), "demo", "--once", external=True)


def try_installed(session: nox.Session, *trials: str) -> None:
    install(session, "checks")
    wheel = Path(session.create_tmp()).resolve() / "wheel"
    session.run("python", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheel))
    (built,) = sorted(wheel.glob("*.whl"))[-1:]
    session.run("python", "-m", "tests.installed", str(built), *trials)


@nox.session
def deb(session: nox.Session) -> None:
    """The Debian package is built, installed, used, upgraded, removed and purged in a Debian of its own. Needs root.

    ``-- systemd`` tries the same package under a booted systemd as well.
    """
    try_installed(session, "package", *session.posargs)


@nox.session
def systemd(session: nox.Session) -> None:
    """A booted systemd runs the shipped units from the Debian package: start, reload, watchdog, stop. Needs root."""
    try_installed(session, "systemd")


@nox.session
def constraints(session: nox.Session) -> None:
    """Write constraints/ from pyproject.toml. What is pinned and fits stays; ``-- --upgrade`` takes the newest."""
    install(session, "lock", itself=False)
    options = ("--universal", "--python-version", "3.11.2", "--generate-hashes")
    quietly = ("--quiet", "--no-annotate", "--no-header")
    for name, of in CONSTRAINTS.items():
        to = f"constraints/{name}.txt"
        session.run("uv", "pip", "compile", *options, *quietly, *session.posargs, "--output-file", to, *of)
