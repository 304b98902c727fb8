"""The companion module's PHP: tokens, the search, the link of the script, the page, removal."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.crm.stream_tokens import EXPIRES, NONCE, SECRET, VECTOR
from tests.crm.vtiger.module_scenes import CRM, PHPS, needs_php, unpack
from uac_trio.clock import now
from uac_trio.crm.stream_token import read_token
from uac_trio.crm.vtiger.module_package import module_version

pytestmark = needs_php

ADMIN = {"id": 1, "admin": True}
TEXTS = Path("modules/UacCompanion/texts")


@pytest.fixture
def crm(tmp_path: Path) -> CRM:
    unpack(tmp_path)
    return CRM(tmp_path)


@pytest.mark.parametrize("php", PHPS)
def test_syntax(crm: CRM, php: str) -> None:
    for path in crm.folder.rglob("*.php"):
        subprocess.run([php, "-l", path], check=True, capture_output=True)


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_fixed_token(crm: CRM) -> None:
    """Byte by byte what Python reads in tests/crm/test_stream_token.py."""
    assert crm.run("token", [5, "101", EXPIRES, NONCE, SECRET])["body"] == VECTOR


def test_token_is_read_by_the_connector(crm: CRM) -> None:
    """Of the user and their extension, good for a minute, another one each time; the address has one slash."""
    first, second = crm.answer("Token"), crm.answer("Token")
    assert first["url"] == "http://10.0.0.7:5000/crm/events"
    token = read_token(first["token"], SECRET, now())
    assert (token.user, token.extension) == ("5", "101")
    assert 0 < token.expires_at - now() <= 60
    assert token.nonce != read_token(second["token"], SECRET, now()).nonce


@pytest.mark.parametrize("url", ["/uac", "https://uac.example:5000/x"])
def test_address_of_the_settings(crm: CRM, url: str) -> None:
    """Where the gateway's is one that only PHP reaches."""
    assert crm.answer("Token", settings={"url": url})["url"] == f"{url}/crm/events"


OFF: list[tuple[dict[str, Any], str]] = [
    ({"user": {}}, "logged-out"),
    ({"module": "off"}, "switched-off"),
    ({"module": "absent"}, "switched-off"),
    ({"user": {"id": 5}}, "no-extension"),
    ({"gateway": {"webappurl": "http://10.0.0.7:5000"}}, "no-gateway"),
    ({"gateway": {"vtigersecretkey": "x"}}, "no-gateway"),
    ({"permitted": []}, "not-permitted"),
    ({"request": {"test": "1"}}, "not-permitted"),
]


@pytest.mark.parametrize(("changed", "reason"), OFF)
def test_no_token(crm: CRM, changed: dict[str, Any], reason: str) -> None:
    """The reason comes as an answer, never as a redirect to the login."""
    assert crm.answer("Token", **changed) == {"off": reason}


def test_token_of_an_administrator_who_tries(crm: CRM) -> None:
    """Without an extension: a stream, and no event."""
    given = crm.answer("Token", user=ADMIN, request={"test": "1"})
    assert read_token(given["token"], SECRET, now()).extension == ""


def test_who_may_only_call_gets_a_token(crm: CRM) -> None:
    """For the results of their clicks."""
    assert "token" in crm.answer("Token", permitted=["MakeOutgoingCalls"])


# -- the search --------------------------------------------------------------------------------------------------------


def test_search_is_the_crms_own(crm: CRM) -> None:
    calls = [{"pbxmanagerid": "7", "customernumber": "+79161234567"}]
    assert crm.answer("Look", calls=calls) == calls


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"user": {}}, "logged-out"), ({"module": "off"}, "switched-off"), ({"permitted": []}, "not-permitted")],
)
def test_no_search(crm: CRM, changed: dict[str, Any], reason: str) -> None:
    assert crm.answer("Look", calls=[{"pbxmanagerid": "7"}], **changed) == {"off": reason}


# -- the script --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["module.postinstall", "module.postupdate", "module.enabled"])
def test_script_is_linked(crm: CRM, event: str) -> None:
    """With tabid 0, once, asked for each page; its file is there."""
    (link,) = crm.run("handle", event)["links"]
    assert (link["tabid"], link["type"], link["label"]) == (0, "HEADERSCRIPT", "UacCompanion")
    assert (crm.folder / link["url"]).is_file()
    assert module_version().replace(".", "_") in link["url"]
    assert (crm.folder / link["handler"]["path"]).is_file()
    assert link["handler"]["method"] == "isWanted"


def test_update_removes_old_scripts(crm: CRM) -> None:
    """The CRM leaves the files of earlier versions, which no page names any more."""
    before = crm.scripts()
    for name in ("companion-26_1_0-0000.js", "worker-26_1_0-0000.js", "setup-26_1_0-0000.js"):
        (crm.folder / "modules/UacCompanion/resources" / name).write_text("old")
    crm.run("handle", "module.postupdate")
    assert crm.scripts() == before
    assert len(before) == 3


@pytest.mark.parametrize("event", ["module.disabled", "module.preuninstall"])
def test_script_is_unlinked(crm: CRM, event: str) -> None:
    out = crm.run("handle", event)
    assert (out["links"], out["unlinked"]) == ([], 1)
    assert any("DROP TABLE" in sql for sql, _ in out["sql"]) == (event == "module.preuninstall")


@pytest.mark.parametrize(
    ("user", "permitted", "wanted"),
    [
        ({"id": 5, "extension": "101"}, ["ReceiveIncomingCalls"], True),
        ({"id": 5, "extension": "101"}, ["MakeOutgoingCalls"], True),
        ({"id": 5, "extension": "101"}, [], False),
        ({"id": 5}, ["ReceiveIncomingCalls"], False),
    ],
)
def test_who_gets_the_script(crm: CRM, user: dict[str, Any], permitted: list[str], wanted: bool) -> None:
    assert crm.run("wanted", user=user, permitted=permitted)["body"] == str(wanted).lower()


# -- the page ----------------------------------------------------------------------------------------------------------


def test_page_is_for_administrators(crm: CRM) -> None:
    assert "not permitted" in crm.run("view", "Setup")["error"]
    assert "not permitted" in crm.run("action", "Config", request={"mode": "save", "__vtrftk": "x"})["error"]


@pytest.mark.parametrize(("language", "title"), [("en_us", "Popups at once"), ("ru_ru", "Мгновенные карточки звонков")])
def test_page(crm: CRM, language: str, title: str) -> None:
    """Address, state and removal, in the user's language; what was saved is escaped."""
    out = crm.run("view", "Setup", user=ADMIN, language=language, settings={"url": '/"><script>'})
    assert out["error"] is None
    page = out["body"]
    assert f"<h1>{title}</h1>" in page
    assert page.count('<form method="post"') == 2
    assert "&quot;&gt;&lt;script&gt;" in page
    assert "http://10.0.0.7:5000/" in page
    assert "the header of the CRM" not in page
    (script,) = re.findall(r'<script src="([^"]+)"', page)
    assert (crm.folder / script).is_file()


def test_texts_of_both_languages(crm: CRM) -> None:
    """The same keys, each with a text and the same places to fill in."""
    texts = {
        name: dict(re.findall(r"^    '([\w-]+)' => '(.*)',$", (crm.folder / TEXTS / name).read_text(), re.MULTILINE))
        for name in ("en_us.php", "ru_ru.php")
    }
    english, russian = texts["en_us.php"], texts["ru_ru.php"]
    assert english.keys() == russian.keys()
    assert len(english) > 15
    for key, text in english.items():
        assert text.count("%s") == russian[key].count("%s")
        assert russian[key] != text


def test_menu_of_module_manager(crm: CRM) -> None:
    """The only way to the page."""
    body = crm.run("links", language="ru_ru")["body"]
    assert "view=Setup" in body


def save(crm: CRM, url: str, **request: str) -> Any:
    return crm.run("action", "Config", user=ADMIN, request={"mode": "save", "url": url, "__vtrftk": "x", **request})


@pytest.mark.parametrize("url", ["", "/uac", "/uac/", "https://uac.example:5000", "http://[2001:db8::1]:5000/uac"])
def test_address_is_saved(crm: CRM, url: str) -> None:
    out = save(crm, url)
    assert out["error"] is None
    assert out["sql"][-1] == [
        "INSERT INTO vtiger_uaccompanion (name, value) VALUES (?, ?)", ["url", url.rstrip("/")],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "uac.example", "https://x/?q=1", "/a b", "//evil.example", "/" + "a" * 200]
)
def test_what_is_no_address(crm: CRM, url: str) -> None:
    out = save(crm, url)
    assert out["error"] is None
    assert out["sql"] == []


def test_writing_needs_the_crms_token(crm: CRM) -> None:
    """A page elsewhere cannot remove the module in an administrator's name."""
    for mode in ("save", "remove"):
        out = crm.run("action", "Config", user=ADMIN, request={"mode": mode})
        assert "Invalid request" in out["error"]
        assert not out["deleted"]


def test_removal(crm: CRM) -> None:
    """Rows by the CRM, link and table by the handler, then the folder; nothing beside it."""
    (crm.folder / "modules" / "Other").mkdir()
    out = crm.run("action", "Config", user=ADMIN, request={"mode": "remove", "__vtrftk": "x"})
    assert out["error"] is None
    assert out["deleted"]
    assert out["unlinked"] == 1
    assert [path.name for path in (crm.folder / "modules").iterdir()] == ["Other"]
