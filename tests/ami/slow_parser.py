"""The slow, obvious parser: what the fast one must agree with on any bytes.

It is handed a whole stream, looks at it line by line, and shares nothing with ``uac_trio.ami.parser``.
"""

from __future__ import annotations

from uac_trio.ami.message import Banner, Event, Message, Response


def slow_parse(data: bytes) -> list[Message | Banner]:
    """Every complete event, response and banner in ``data``. What is neither is left out."""
    found: list[Message | Banner] = []
    data = data.lstrip(b"\r\n")
    if not data[:9].lower().startswith((b"event:", b"response:")):
        banner, line_end, data = data.partition(b"\n")
        if not line_end:
            return []
        found.append(Banner(text(banner.rstrip(b"\r"))))
    last_end = data.rfind(b"\r\n\r\n")
    data = data[: last_end + 4] if last_end >= 0 else b""
    while data := data.lstrip(b"\r\n"):
        if data.startswith(b"Asterisk Call Manager/"):
            line, _, data = data.partition(b"\r\n")
            found.append(Banner(text(line)))
            continue
        lines: list[bytes] = []
        start = data
        while True:
            line, _, data = data.partition(b"\r\n")
            lines.append(line)
            if data.startswith((b"\r\n", b"\n")):
                data = data[data.index(b"\n") + 1 :]
                break
            if not data:
                break
        if lines[0].lower() in (b"response: follows", b"response:follows") and len(lines) > 1:
            body, marker, data = start.partition(b"--END COMMAND--\r\n\r\n")
            if not marker:
                break
            found.append(command_output(body))
            continue
        while lines:
            end = 1
            while end < len(lines) and not (
                lines[0] == b"Event: Cdr"
                and lines[end].startswith(b"Event: ")
                and end + 1 < len(lines)
                and lines[end + 1].startswith(b"Privilege: ")
            ):
                end += 1
            message = one_message(lines[:end])
            if message is not None:
                found.append(message)
            lines = lines[end:]
    return found


def one_message(lines: list[bytes]) -> Message | None:
    names: list[bytes] = []
    values: list[bytes] = []
    for line in lines:
        colon = line.find(b":")
        if line[:13].lower() == b"chanvariable(" and b"):" in line:
            colon = line.index(b"):") + 1
        if colon >= 0:
            names.append(line[:colon])
            values.append(line[colon + 2 :] if line[colon + 1 : colon + 2] == b" " else line[colon + 1 :])
        elif names:
            values[-1] += b"\n" + line
        else:
            names.append(line)
            values.append(b"")
    headers = tuple((text(name), text(value.rstrip(b"\n"))) for name, value in zip(names, values, strict=True))
    if names[0].lower() == b"event":
        return Event(headers)
    if names[0].lower() == b"response":
        return Response(headers)
    return None


def command_output(data: bytes) -> Response:
    headers: list[tuple[str, str]] = []
    for name in (b"response", b"privilege", b"actionid"):
        line, line_end, rest = data.partition(b"\r\n")
        if line_end and line.partition(b":")[0].lower() == name and b"\n" not in line and b"\r" not in line:
            key, _, value = line.partition(b":")
            headers.append((text(key), text(value.removeprefix(b" "))))
            data = rest
    body = data[:-1] if data.endswith(b"\n") else data
    body = body[:-1] if body.endswith(b"\r") else body
    output = [("Output", text(line[:-1] if line.endswith(b"\r") else line)) for line in body.split(b"\n")]
    return Response((*headers, *output))


def text(data: bytes) -> str:
    try:
        decoded = data.decode("utf-8")
    except UnicodeDecodeError:
        decoded = data.decode("latin-1")
    return decoded.replace("\x00", "\N{REPLACEMENT CHARACTER}")
