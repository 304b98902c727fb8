"""Reads the configuration of an earlier connector: a Python file with ``class Config``, which is parsed and never run,
or SalesPlatform's ``AsteriskConnector.properties``."""

from __future__ import annotations

import ast
import enum
import re
import warnings
from collections.abc import Iterator, Mapping

import attrs

PYTHON_KEYS = frozenset(
    {
        "ami_params", "vtiger_url", "vtiger_token", "click2call_bind_addr", "click2call_port", "record_domain",
        "db_path",
    }
)  # fmt: skip
PROPERTIES_KEYS = frozenset(
    {
        "ServerIP", "ServerPort", "AsteriskAppDBPath", "AsteriskServerIP", "AsteriskServerPort", "AsteriskUsername",
        "AsteriskPassword", "CrmURL", "CrmURLPrefix", "CrmSecretKey", "CheckKeyOnListenRequest", "LookUpVariablesNames",
        "DefaultOriginateChannelProtocol", "VtigerURL", "VtigerSecretKey",
    }
)  # fmt: skip
_PROPERTY = re.compile(r"\s*(?P<key>(?:\\.|[^\s=:\\])+)\s*[=:]?\s*(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)


class Kind(enum.Enum):
    """Which earlier connector."""

    PYTHON = "class Config"
    PROPERTIES = "AsteriskConnector.properties"


class OldFileError(Exception):
    """The text is no such configuration; the message says why."""


@attrs.frozen
class OldValue:
    """A value as text; ``ami_params['host']`` is a key of its own. ``text`` None: it is computed by the program."""

    text: str | None
    line: int


@attrs.frozen
class OldFile:
    """An earlier configuration by its keys."""

    kind: Kind
    values: Mapping[str, OldValue]


def is_old(content: bytes) -> bool:
    """Whether this is the configuration of an earlier connector."""
    try:
        parse(content)
    except OldFileError:
        return False
    return True


def parse(content: bytes) -> OldFile:
    """The values of an old configuration. Raises OldFileError."""
    properties = dict(_properties(content.decode("utf-8", "replace")))
    known = PROPERTIES_KEYS & properties.keys()
    if len(known) >= 2:
        return OldFile(Kind.PROPERTIES, properties)
    if not any(key.encode() in content for key in PYTHON_KEYS):
        raise OldFileError(
            "is neither a Python file with class Config (ami_params, vtiger_url, ...) nor an "
            "AsteriskConnector.properties (AsteriskServerIP, CrmURL, ...)"
        )
    return OldFile(Kind.PYTHON, dict(_python(content)))


def _python(content: bytes) -> Iterator[tuple[str, OldValue]]:
    """The assignments of the class that has the known keys, or of the file itself."""
    tree = _tree(content)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = next((body for body in (*bodies, tree.body) if PYTHON_KEYS & {name for name, _ in _assigned(body)}), [])
    if not found:
        raise OldFileError(
            "is Python, but no class of it sets ami_params, vtiger_url or another key of the old connector"
        )
    for name, node in _assigned(found):
        if name == "ami_params":
            yield from _entries(name, node)
        else:
            yield name, _value(node)


def _tree(content: bytes) -> ast.Module:
    """The file as a syntax tree, in its own encoding or else in one that has all bytes. Raises OldFileError."""
    sources: tuple[bytes | str, ...] = (content, content.decode("latin-1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its regular expressions and the like, which are not ours
        for source in sources:
            try:
                return ast.parse(source)
            except UnicodeDecodeError:
                continue
            except SyntaxError as why:
                is_encoding = (
                    not why.lineno or "codec" in why.msg or "Non-UTF-8" in why.msg
                )  # the last is Python 3.14's
                if source is content and is_encoding:
                    continue
                raise OldFileError(f"line {why.lineno}: is not Python 3: {why.msg}") from why
            except (ValueError, RecursionError, MemoryError) as why:  # a NUL byte, or brackets without end
                raise OldFileError(f"is not Python: {why}") from why
    raise OldFileError("is not Python: its encoding is unknown")


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value


def _entries(name: str, node: ast.expr) -> Iterator[tuple[str, OldValue]]:
    """Of ``{"host": ...}`` or ``dict(host=...)``."""
    if isinstance(node, ast.Dict):
        pairs = [(_constant(key), value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
    else:
        pairs = []
    if not pairs:
        yield name, OldValue(None, node.lineno)
    for key, value in pairs:
        yield f"{name}[{key!r}]", _value(value)


def _value(node: ast.expr) -> OldValue:
    return OldValue(_constant(node), node.lineno)


def _constant(node: ast.expr) -> str | None:
    """A number or a text, also one put together of texts; None if the program computes it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool):
        return _whole(str(node.value))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _constant(node.left), _constant(node.right)
        return None if left is None or right is None else left + right
    return None


def _properties(text: str) -> Iterator[tuple[str, OldValue]]:
    """The entries as java.util.Properties reads them, and without a comment of // behind a value."""
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        logical = line.rstrip("\r").lstrip()
        if not logical or logical.startswith(("#", "!")):
            continue
        while len(logical) - len(logical.rstrip("\\")) & 1:
            _, more = next(lines, (0, ""))
            logical = logical[:-1] + more.rstrip("\r").lstrip()
        if entry := _PROPERTY.match(logical):
            value = re.sub(r"\s//.*", "", _unescaped(entry["value"]))
            yield _unescaped(entry["key"]), OldValue(value.strip(), number)


def _unescaped(text: str) -> str:
    ends = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
    return _whole(
        _ESCAPE.sub(
            lambda found: chr(int(found[1][1:], 16)) if len(found[1]) == 5 else ends.get(found[1], found[1]), text
        )
    )


def _whole(text: str) -> str:
    """Pairs of surrogates as the character that they are, which Java writes so; a lone one as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
