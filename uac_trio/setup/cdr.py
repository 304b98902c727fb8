"""What the Cdr event has to carry: the name of the recording, and the call it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from uac_trio.asterisk_conf import appended, read
from uac_trio.setup.answers import Answers, Machine, Platform
from uac_trio.setup.change import Change, What, not_read

ENABLED = "enabled = yes\n"


def plan_cdr(answers: Answers, machine: Machine, names: Sequence[str]) -> tuple[Change, ...]:
    """The changes after which Cdr events have the variables ``names`` of CDR(), such as recordingpath.

    Raises NotReadError.
    """
    directory = answers.asterisk_dir
    before = machine.texts
    texts = dict(before)
    root = f"{directory}/cdr_manager.conf"
    is_freepbx = answers.platform is Platform.FREEPBX
    general = f"{directory}/cdr_manager_general_custom.conf" if is_freepbx else root
    mappings = f"{directory}/cdr_manager_mapping_custom.conf" if is_freepbx else root
    if not _is_enabled(texts, root):
        _append(texts, root, general, "general", ENABLED)
    lacking = [name for name in names if name not in _mapped(texts, root)]
    if lacking:
        _append(texts, root, mappings, "mappings", "".join(f"{name} => {name}\n" for name in lacking))
    if _is_off(texts, f"{directory}/cdr.conf"):
        path = f"{directory}/cdr_general_custom.conf" if is_freepbx else f"{directory}/cdr.conf"
        _append(texts, f"{directory}/cdr.conf", path, "general", "enable = yes\n")
    return tuple(
        Change(
            path=path,
            text=text,
            why="Cdr events, with the name of the recording",
            what=What.ADDS,
            mode=0o640,
            like=f"{directory}/manager.conf",
        )
        for path, text in texts.items()
        if before.get(path) != text
    )


def _append(texts: dict[str, str], root: str, path: str, section: str, lines: str) -> None:
    """Append values of ``section`` where Asterisk reads them: to ``path``, or to ``root`` if that is not included.

    Raises NotReadError.
    """
    for file, block in _places(texts, root, path, section, lines):
        tried = {**texts, file: appended(texts.get(file, ""), block)}
        if _counts(tried, root, section, lines):
            texts[file] = tried[file]
            return
    raise not_read(root, read(root, texts).refused)


def _places(texts: Mapping[str, str], root: str, path: str, section: str, lines: str) -> Iterator[tuple[str, str]]:
    """Files, and what to append to them, the first that works to be taken."""
    addition = f"[{section}](+)\n{lines}"
    if path != root:
        yield path, lines  # FreePBX includes such files within the section
        yield path, addition
    yield root, addition if read(root, texts).section(section) else f"[{section}]\n{lines}"


def _counts(texts: Mapping[str, str], root: str, name: str, lines: str) -> bool:
    configuration = read(root, texts)
    section = configuration.section(name)
    keys = [line.partition("=")[0].strip() for line in lines.splitlines()]
    wanted = lines.splitlines()[0].rpartition(" ")[2]
    return (
        not configuration.refused
        and section is not None
        and all((found := section.get(key)) is not None and found.value in (wanted, key) for key in keys)
    )


def _is_enabled(texts: Mapping[str, str], root: str) -> bool:
    general = read(root, texts).section("general")
    return general is not None and general.is_true("enabled")


def _is_off(texts: Mapping[str, str], path: str) -> bool:
    """cdr.conf: CDR is on unless it says otherwise."""
    general = read(path, texts).section("general")
    return general is not None and general.get("enable") is not None and not general.is_true("enable")


def _mapped(texts: Mapping[str, str], root: str) -> set[str]:
    """The variables that are mapped to a header of their own name, which is where uac-trio looks."""
    section = read(root, texts).section("mappings")
    return {each.key.lower() for each in section.values if each.value.lower() == each.key.lower()} if section else set()
