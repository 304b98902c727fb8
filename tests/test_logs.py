from __future__ import annotations

import io
import json
import logging
import os
import re
import resource
import socket
import time
from pathlib import Path

import pytest
import structlog
import trio

from uac_trio.logs import LogLimit, LogRate, LogSettings, configure_logging, mask_name, mask_number, mask_text


def said(settings: LogSettings, **fields: object) -> dict[str, object]:
    out = io.StringIO()
    configure_logging(settings, stream=out)
    structlog.get_logger().info("test.happened", **fields)
    line: dict[str, object] = json.loads(out.getvalue())
    return line


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+79161234567", "+7916***4567"),
        ("89161234567", "8916***4567"),
        ("4951234", "49***34"),
        ("101", "101"),
        ("12345", "12345"),
        ("", ""),
        ("anonymous", "an***us"),
    ],
)
def test_number_is_shown_in_part(number: str, shown: str) -> None:
    """A full number loses its middle, an extension stays whole."""
    assert mask_number(number) == shown


def test_name_is_one_letter() -> None:
    """Of a name only the first letter is shown."""
    assert [mask_name("Anna Petrova"), mask_name("")] == ["A***", ""]


def test_fields_of_people_are_masked() -> None:
    """Numbers and names are masked by the name of their field, in lists too; other fields stay."""
    line = said(
        LogSettings(json=True), customer="+79161234567", numbers=["+79161234567", "101"], caller_name="Anna", pbx="main"
    )
    assert line["customer"] == "+7916***4567"
    assert line["numbers"] == ["+7916***4567", "101"]
    assert line["caller_name"] == "A***"
    assert line["pbx"] == "main"


def test_numbers_in_texts_are_masked() -> None:
    """A reason keeps its words and ids, and shows the numbers in it in part."""
    line = said(LogSettings(json=True), because="Local/89161234567@from-queue-00000003;1 ended unseen (1795413713.0)")
    assert line["because"] == "Local/8916***4567@from-queue-00000003;1 ended unseen (1795413713.0)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("20260105-123456_79161234567_101.wav", "20260105-123456_7916***4567_101.wav"),
        ("/monitor/2026/01/05/in79161234567-101.wav", "/monitor/2026/01/05/in7916***4567-101.wav"),
        ("q600_+79161234567_1.wav", "q600_+7916***4567_1.wav"),
        ("79161234567.wav", "7916***4567.wav"),
        (
            "out-89161234567-101-20260105-123456-1795413713.5.wav",
            "out-8916***4567-101-20260105-123456-1795413713.5.wav",
        ),
        ("rec20260105123456x79161234567x", "rec20260105123456x7916***4567x"),
        ("+79161234567-20260105-123456.wav", "+7916***4567-20260105-123456.wav"),
        ("810442079460000123 is too long", "8104***0123 is too long"),
        ("no +7 916 123-45-67 there", "no +7916***4567 there"),
        ("no +7 (916) 123-45-67.", "no +7916***4567."),
        ("+44 20 7946 0000, ext 12", "+4420***0000, ext 12"),
        ("8 (916) 123-45-67 and 123-45-67", "8916***4567 and 123-45-67"),
        ("916 123 45 67", "9161***4567"),
        ("PJSIP/79161234567-0000001a hung up", "PJSIP/7916***4567-0000001a hung up"),
        ("call 1795413713.5 at 2026-01-05 12:34:56+03:00", "call 1795413713.5 at 2026-01-05 12:34:56+03:00"),
        ("uac-1764000000-3f9a2b7c, uac-1764000000-12345678", "uac-1764000000-3f9a2b7c, uac-1764000000-12345678"),
        ("10.20.30.40:5000 took 0.12345678 s", "10.20.30.40:5000 took 0.12345678 s"),
    ],
)
@pytest.mark.parametrize("field", ["because", "file", "path", "reason"])
def test_numbers_in_names_of_files(field: str, text: str, shown: str) -> None:
    """Whatever stands beside a number, it is masked; dates, times, Uniqueids and names of channels stay readable."""
    assert mask_text(text) == shown
    assert said(LogSettings(json=True), **{field: text})[field] == shown


def test_masking_can_be_turned_off_but_not_for_secrets() -> None:
    """``mask = false`` shows numbers; a secret is not shown in any case."""
    line = said(LogSettings(json=True, mask=False), customer="+79161234567", secret="s3cret-of-the-pbx")
    assert line["customer"] == "+79161234567"
    assert "s3cret" not in json.dumps(line)


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("control", BIDI, ids=lambda control: f"U+{ord(control):04X}")
def test_nothing_turns_a_line_around(control: str) -> None:
    """A caller's name loses the controls that reorder what a terminal shows; letters of any script stay."""
    line = said(
        LogSettings(json=True, mask=False),
        caller_name=f"{control}Анна{control} שרה",
        because=f"x{control}",
        numbers=[f"1{control}"],
    )
    assert (line["caller_name"], line["because"], line["numbers"]) == ("Анна שרה", "x", ["1"])


def test_number_that_is_no_text_is_left_alone() -> None:
    """A count under a number's name is no reason to fail."""
    assert said(LogSettings(json=True), to=5)["to"] == 5


def test_lower_levels_are_left_out() -> None:
    """Nothing below the configured level is written."""
    out = io.StringIO()
    configure_logging(LogSettings(level="warning"), stream=out)
    structlog.get_logger().info("test.happened")
    assert out.getvalue() == ""


def test_libraries_speak_through_the_same_lines() -> None:
    """What a library logs by the standard library comes out in the same form; request lines with URLs do not."""
    out = io.StringIO()
    configure_logging(LogSettings(json=True), stream=out)
    logging.getLogger("hypercorn.error").warning("socket said %s", "no")
    logging.getLogger("httpx").info("HTTP Request: POST http://crm/?number=+79161234567")
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["event"] == "socket said no"
    assert entry["level"] == "warning"
    assert entry["logger"] == "hypercorn.error"


def test_limit() -> None:
    """One line a minute, which reports how many were left out before it."""
    limit = LogLimit()
    assert [limit.due(now) for now in (5.0, 6.0, 64.9, 65.0, 66.0, 125.1)] == [0, None, None, 2, None, 1]


async def test_no_file_descriptor_left() -> None:
    """A server that cannot accept tries ten times a second; the log has one line, what to do, and no traceback."""
    out = io.StringIO()
    configure_logging(LogSettings(json=True), stream=out)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(10), socket.socket() as client:
        async with trio.open_nursery() as nursery:
            client.connect(listener.socket.getsockname())
            resource.setrlimit(resource.RLIMIT_NOFILE, (listener.socket.fileno(), hard))
            try:
                nursery.start_soon(trio.serve_listeners, trio.aclose_forcefully, [listener])
                await trio.sleep(0.5)  # five attempts
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            nursery.cancel_scope.cancel()
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["event"].startswith("no connection can be accepted: accept returned EMFILE")
    assert "LimitNOFILE" in entry["event"]
    assert (entry["level"], "exception" in entry) == ("error", False)


def test_journal_gets_levels_instead_of_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When stderr is the journal, a line begins with <level> and has no time of its own."""
    path = tmp_path / "journal"
    with path.open("w") as out:
        status = os.fstat(out.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure_logging(LogSettings(json=True), stream=out)
        structlog.get_logger().warning("test.happened")
        logging.getLogger("hypercorn.error").error("broken")
    first, second = path.read_text().splitlines()
    assert first.startswith("<4>{")
    assert second.startswith("<3>{")
    assert "timestamp" not in json.loads(first[3:])


def test_redirected_stderr_keeps_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JOURNAL_STREAM of another file (stderr was redirected) changes nothing."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    path = tmp_path / "log"
    with path.open("w") as out:
        configure_logging(LogSettings(json=True), stream=out)
        structlog.get_logger().warning("test.happened")
    assert "timestamp" in json.loads(path.read_text())


def test_times_carry_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines for people have the local time and its distance from UTC; JSON has UTC."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        out = io.StringIO()
        configure_logging(LogSettings(), stream=out)
        structlog.get_logger().info("test.happened")
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 ", out.getvalue())
        out = io.StringIO()
        configure_logging(LogSettings(json=True), stream=out)
        structlog.get_logger().info("test.happened")
        assert json.loads(out.getvalue())["timestamp"].endswith("Z")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_rate_of_lines() -> None:
    """A burst is written, then so many in a second; the next line has the number of those left out."""
    rate = LogRate(burst=3, per_second=2)
    assert [rate.due(10.0) for _ in range(5)] == [0, 0, 0, None, None]
    assert rate.due(10.4) is None
    assert [rate.due(11.0) for _ in range(3)] == [3, 0, None]
    assert [rate.due(99.0) for _ in range(4)] == [1, 0, 0, None]


def test_text_for_people() -> None:
    """Without ``json`` a line names the event and its fields, without colours where there is no terminal."""
    out = io.StringIO()
    configure_logging(LogSettings(), stream=out)
    structlog.get_logger().error("ami.login_refused", pbx="main")
    assert "ami.login_refused" in out.getvalue()
    assert "pbx=main" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_traceback_shows_no_variables(as_json: bool) -> None:
    """A traceback names the lines and the error, and not the values of variables, which hold secrets and numbers."""
    out = io.StringIO()
    configure_logging(LogSettings(json=as_json), stream=out)
    hidden = "+7916" + str(1234567)
    try:
        raise LookupError(str(len(hidden)))
    except LookupError:
        structlog.get_logger().exception("test.failed")
    assert "LookupError" in out.getvalue()
    assert hidden not in out.getvalue()
