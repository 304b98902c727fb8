"""A booted systemd starts the shipped unit from the installed package, watches it, and stops it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.installed.machine import Machine, machine

UNIT = "uac-trio.service"
DROP_IN = "/run/systemd/system/uac-trio.service.d/trial.conf"
CONFIGURATION = "/etc/uac-trio/uac-trio.toml"
SETTINGS = """
[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret_file = "ami-secret"
originate_channel = "PJSIP/{extension}"
originate_context = "from-internal"

[calls]
extensions = '^\\d{3}$'

[vtiger]
url = "http://127.0.0.1:8080/modules/PBXManager/callbacks/PBXManager.php"
secret_file = "vtiger-secret"

[http]
bind = "127.0.0.1:5000"
public_url = "http://127.0.0.1:5000"
"""
HOST_SETTINGS = """
[serve]
recordings = ["/var/spool/asterisk/monitor"]
networks = ["127.0.0.1"]
secret_file = "recordings-secret"
"""
ASK = "import sys, urllib.request as r; print(r.urlopen('http://127.0.0.1:5000' + sys.argv[1]).read().decode())"
SILENCE = "/usr/bin/ffmpeg -loglevel error -f lavfi -i anullsrc=r=8000 -t 1 -f mp3 -y /var/lib/uac-trio/silence.mp3"
STOP_LIMIT = 20.0
EXPOSURE = 15
"""Tenths, as systemd-analyze counts: 1.5."""


def shown(inside: Machine, name: str, unit: str = UNIT) -> str:
    return inside.run("systemctl", "show", "--value", f"--property={name}", unit)


def with_drop_in(inside: Machine, *lines: str) -> None:
    """Change the unit for a while; without lines it is the shipped one again."""
    inside.put(DROP_IN, "\n".join(["[Service]", *lines, ""]))
    inside.run("systemctl", "daemon-reload")


def journal(inside: Machine) -> str:
    return inside.run("journalctl", "--no-pager", "--output=cat", f"--unit={UNIT}")


def try_service(root: Path, deb: Path) -> None:
    with machine(root, ["/lib/systemd/systemd", "--log-target=null", "--show-status=no"]) as inside:
        states = ("running", "degraded")  # degraded: units of the Debian that have no terminal here
        inside.until(lambda it: it.try_run("systemctl", "is-system-running").stdout.strip() in states, "systemd", 60)
        print(
            inside.run("systemctl", "--version").splitlines()[0],
            "is",
            inside.try_run("systemctl", "is-system-running").stdout.strip(),
        )
        inside.put("/root/uac-trio.deb", deb.read_bytes())
        inside.run("dpkg", "--install", "/root/uac-trio.deb")
        assert shown(inside, "ActiveState") == "inactive", "a new installation has to be configured first"
        configure(inside)

        try:
            for step in STEPS:
                step(inside)
        except AssertionError:
            print(journal(inside)[-4000:])
            raise


def configure(inside: Machine) -> None:
    inside.put(CONFIGURATION, SETTINGS)
    for name in ("ami-secret", "vtiger-secret", "recordings-secret"):
        inside.put(f"/etc/uac-trio/{name}", "a-long-random-word\n", "600")
    inside.put("/etc/uac-trio/recordings.toml", HOST_SETTINGS)
    inside.run("mkdir", "-p", "/var/spool/asterisk/monitor")
    inside.run("groupadd", "--system", "asterisk")


def start(inside: Machine) -> None:
    inside.run("systemctl", "enable", "--now", UNIT)  # Type=notify: this waits for READY=1
    assert shown(inside, "ActiveState") == "active"
    process = shown(inside, "MainPID")
    assert inside.run("ps", "-o", "user=", "-p", process) == "uac-trio"
    assert inside.run("stat", "--format=%U %a", "/var/lib/uac-trio/connector.db") == "uac-trio 600"
    assert "uac-trio" in inside.run("python3", "-c", ASK, "/live")
    assert "process_start_time_seconds" in inside.run("python3", "-c", ASK, "/metrics")
    print("started: READY=1 came, /live and /metrics are there, the process and its database are the user's uac-trio")


def status(inside: Machine) -> None:
    """``systemctl status`` has the conditions that are present: here nothing answers as a PBX."""
    inside.until(lambda it: "problem pbx_away (main)" in shown(it, "StatusText"), "the status line")
    print("status:", shown(inside, "StatusText"))


def secure(inside: Machine) -> None:
    table = inside.run("systemd-analyze", "security", f"--threshold={EXPOSURE}", "--no-pager", UNIT)
    print("systemd-analyze security:", table.splitlines()[-1].partition(":")[2].strip())


def convert(inside: Machine) -> None:
    with_drop_in(inside, f"ExecStartPost={SILENCE}")
    inside.run("systemctl", "restart", UNIT)  # fails where ffmpeg does
    assert int(inside.run("stat", "--format=%s", "/var/lib/uac-trio/silence.mp3")) > 0
    with_drop_in(inside)
    print("ffmpeg converts under the unit's filter of system calls")


def reload(inside: Machine) -> None:
    """The same process reads a new log level, and goes on with what it has where the file is wrong."""
    process = shown(inside, "MainPID")
    inside.put(CONFIGURATION, SETTINGS + '\n[log]\nlevel = "debug"\n')
    inside.run("systemctl", "reload", UNIT)
    inside.until(lambda it: "daemon.reloaded" in journal(it), "the new log level")
    inside.put(CONFIGURATION, SETTINGS.replace("originate_context", "originate_kontext"))
    inside.run("systemctl", "reload", UNIT)
    inside.until(lambda it: "daemon.reload_refused" in journal(it), "the refusal of a wrong file")
    inside.put(CONFIGURATION, SETTINGS)
    assert (shown(inside, "ActiveState"), shown(inside, "MainPID")) == ("active", process)
    print("reloaded: the same process took a new log level, and refused a wrong file")


def hang(inside: Machine) -> None:
    """A process that hangs is restarted by the watchdog."""
    with_drop_in(inside, "WatchdogSec=3")
    inside.run("systemctl", "restart", UNIT)
    process = shown(inside, "MainPID")
    began = time.monotonic()
    inside.run("kill", "-STOP", process)
    inside.until(
        lambda it: shown(it, "ActiveState") == "active" and shown(it, "MainPID") not in (process, "0"),
        "the watchdog restarts it",
    )
    print(f"hung: the watchdog (of 3 s here) had another process ready after {time.monotonic() - began:.1f} s")
    with_drop_in(inside)
    inside.run("systemctl", "restart", UNIT)


def stop(inside: Machine) -> None:
    began = time.monotonic()
    inside.run("systemctl", "stop", UNIT)
    took = time.monotonic() - began
    assert (shown(inside, "Result"), shown(inside, "ExecMainStatus")) == ("success", "0")
    assert took < STOP_LIMIT
    print(f"stopped in {took:.1f} s with status 0")


def refuse(inside: Machine) -> None:
    """A mistake of the configuration, or a secret that is not there, is named, and not tried again and again."""
    inside.put(CONFIGURATION, SETTINGS.replace("originate_context", "originate_kontext"))
    refused(inside, "originate_kontext")
    inside.put(CONFIGURATION, SETTINGS)
    inside.run("mv", "/etc/uac-trio/ami-secret", "/root/")
    refused(inside, "ami-secret")
    inside.run("mv", "/root/ami-secret", "/etc/uac-trio/")
    print("refused: a misspelt key and a missing secret are named in the journal, and the unit does not loop")


def refused(inside: Machine, named: str) -> None:
    inside.run("journalctl", "--rotate", "--vacuum-time=1s")
    assert inside.try_run("systemctl", "start", UNIT).returncode != 0
    inside.until(lambda it: shown(it, "ActiveState") == "failed", "the unit has failed for good", 10)
    assert (shown(inside, "ExecMainStatus"), shown(inside, "NRestarts")) == ("2", "0"), journal(inside)
    assert named in journal(inside), journal(inside)
    inside.run("systemctl", "reset-failed", UNIT)


def as_dynamic_user(inside: Machine) -> None:
    """The unit as it is without the package's user: what the README installs by hand."""
    inside.run("mv", "/var/lib/uac-trio", "/root/state")
    inside.put("/etc/systemd/system/uac-trio.service.d/user.conf", "")
    inside.run("systemctl", "daemon-reload")
    assert shown(inside, "DynamicUser") == "yes"
    inside.run("systemctl", "start", UNIT)
    listed = inside.run("uac-trio", "outbox", "list", "--config", CONFIGURATION)
    inside.run("systemctl", "stop", UNIT)
    secure(inside)
    inside.run("rm", "-rf", "/etc/systemd/system/uac-trio.service.d", "/var/lib/uac-trio", "/var/lib/private/uac-trio")
    inside.run("mv", "/root/state", "/var/lib/uac-trio")
    inside.run("systemctl", "daemon-reload")
    print("with DynamicUser=, without the package's user: started; root's outbox list:", listed or "(empty)")


def serve_recordings(inside: Machine) -> None:
    unit = "uac-trio-recordings.service"
    inside.run("systemctl", "start", unit)
    inside.run("systemd-analyze", "security", f"--threshold={EXPOSURE}", "--no-pager", unit)
    inside.run("systemctl", "stop", unit)
    assert (shown(inside, "Result", unit), shown(inside, "ExecMainStatus", unit)) == ("success", "0")
    print("uac-trio-recordings: started and stopped")


def upgrade_and_remove(inside: Machine) -> None:
    inside.run("systemctl", "start", UNIT)
    process = shown(inside, "MainPID")
    inside.run("dpkg", "--install", "/root/uac-trio.deb")
    assert shown(inside, "ActiveState") == "active"
    assert shown(inside, "MainPID") != process
    inside.run("dpkg", "--remove", "uac-trio")
    assert inside.try_run("systemctl", "is-active", UNIT).returncode != 0
    assert inside.run("sh", "-c", "ps -C uac-trio -o pid= || true") == ""
    inside.run("dpkg", "--purge", "uac-trio")
    assert inside.try_run("systemctl", "cat", UNIT).returncode != 0
    print("upgraded: restarted; removed: stopped; purged: the unit is gone")


STEPS = (
    start, status, secure, convert, reload, hang, stop, refuse, as_dynamic_user, serve_recordings, upgrade_and_remove,
)  # fmt: skip
