"""The package is installed, used, set up, installed again, removed and purged."""

from __future__ import annotations

from pathlib import Path

from tests.installed.machine import Machine, machine

CONFIGURATION = "/etc/uac-trio/uac-trio.toml"
LEFT_BY_DPKG = (
    "/var/lib/dpkg/",
    "/var/log/",
    "/var/cache/",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
)
"""What every package leaves behind."""


def files(inside: Machine) -> set[str]:
    """All paths but those of mounted file systems and of dpkg itself."""
    paths = inside.run("find", "/", "-xdev").splitlines()
    return {path for path in paths if not path.startswith(LEFT_BY_DPKG)}


def users(inside: Machine) -> str:
    return inside.run("getent", "passwd") + inside.run("getent", "group")


SETUP = (
    *(
        "uac-trio",
        "setup",
        "--yes",
        "--crm-url",
        "http://crm.example/",
        "--timezone",
        "Europe/Moscow",
        "--recordings",
        "",
    ),
    *("--extensions", r"^\d{3}$", "--public-url", "http://pbx.example:5000"),
)


def try_package(root: Path, deb: Path) -> None:
    with machine(root, ["sleep", "infinity"]) as inside:
        inside.put("/root/uac-trio.deb", deb.read_bytes())
        inside.put("/etc/asterisk/manager.conf", "[general]\nenabled = yes\n")
        files_before, users_before = files(inside), users(inside)

        inside.run("dpkg", "--install", "/root/uac-trio.deb")
        print("installed:", inside.run("uac-trio", "--version"))
        assert "uac-trio" in inside.run("getent", "passwd", "uac-trio")
        assert inside.run("dpkg", "--verify", "uac-trio") == ""
        for kind in ("man/man1/uac-trio.1.gz", "bash-completion/completions/uac-trio"):
            inside.run("test", "-s", f"/usr/share/{kind}")
        demo = inside.run("runuser", "-u", "uac-trio", "--", "uac-trio", "demo", "--once", timeout=300)
        print("demo --once as its user:", demo.splitlines()[-1])

        inside.run(*SETUP)
        assert inside.run("stat", "--format=%U %a", "/etc/uac-trio/ami-secret") == "root 600"
        assert inside.try_run("test", "-e", "/etc/systemd/system/uac-trio.service").returncode == 1
        print("setup:", inside.run("uac-trio", "check", "--config", CONFIGURATION).splitlines()[0])

        inside.run("sh", "-c", f"echo '# ours' >> {CONFIGURATION}")
        inside.run("dpkg", "--install", "/root/uac-trio.deb")
        assert inside.run("tail", "-n", "1", CONFIGURATION) == "# ours"
        print("installed again: the configuration stays as the administrator left it")

        inside.run("dpkg", "--remove", "uac-trio")
        assert inside.run("tail", "-n", "1", CONFIGURATION) == "# ours"
        assert inside.try_run("test", "-e", "/opt/uac-trio").returncode == 1
        print("removed: the program is gone, the configuration stays")

        inside.put("/var/lib/uac-trio/connector.db", "deliveries")
        inside.run("dpkg", "--purge", "uac-trio")
        left = {path for path in files(inside) - files_before if not path.startswith("/etc/asterisk/")}
        assert left == set(), f"left after the purge: {sorted(left)}"
        assert users(inside) == users_before
        print("purged: every file, secret and user is gone")
