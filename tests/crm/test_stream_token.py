from __future__ import annotations

from typing import Any

import pytest

from tests.crm.stream_tokens import EXPIRES, NONCE, SECRET, VECTOR, made, signed
from uac_trio.crm import stream_token
from uac_trio.crm.stream_token import CLOCKS_DIFFER, LASTS, StreamToken, TokenError, UsedTokens, read_token

MADE_AT = EXPIRES - LASTS


def refused(text: str, now: float = MADE_AT) -> str:
    with pytest.raises(TokenError) as caught:
        read_token(text, SECRET, now)
    return caught.value.reason


def test_fixed_token() -> None:
    """Text and meaning of one token; tests/crm/vtiger/test_module_php.py has PHP make the same."""
    assert made() == VECTOR
    assert read_token(VECTOR, SECRET, MADE_AT) == StreamToken(
        user="5", extension="101", expires_at=EXPIRES, nonce=NONCE
    )


@pytest.mark.parametrize("late", [-LASTS - CLOCKS_DIFFER, 0.0, CLOCKS_DIFFER])
def test_time_in_which_it_is_good(late: float) -> None:
    """A minute, and what the two clocks may differ by."""
    assert read_token(made(), SECRET, EXPIRES + late).extension == "101"


@pytest.mark.parametrize(
    ("late", "words"), [(CLOCKS_DIFFER + 1, "expired 31 s ago"), (-LASTS - CLOCKS_DIFFER - 1, "expires 91 s from now")]
)
def test_time_in_which_it_is_not(late: float, words: str) -> None:
    """The reason says by how much, since a clock is the likely cause."""
    with pytest.raises(TokenError, match=words) as caught:
        read_token(made(), SECRET, EXPIRES + late)
    assert caught.value.reason == "expired"
    assert not caught.value.is_forged


@pytest.mark.parametrize(
    "text",
    [
        made(secret="another"), VECTOR.replace("eyJ2", "eyJ3"), VECTOR[:-1], VECTOR + "A",
        VECTOR.partition(".")[0] + ".", VECTOR.partition(".")[0] + ".A",
    ],
)  # fmt: skip
def test_forged(text: str) -> None:
    """Each change makes it another signature than ours."""
    with pytest.raises(TokenError) as caught:
        read_token(text, SECRET, MADE_AT)
    assert caught.value.is_forged


@pytest.mark.parametrize("text", ["", ".", "x", "a.b.c", "é.b", "a b.c", VECTOR + "=", "A" * 500 + "." + "B" * 500])
def test_no_token(text: str) -> None:
    with pytest.raises(TokenError) as caught:
        read_token(text, SECRET, MADE_AT)
    assert caught.value.reason in ("malformed", "signature")
    assert caught.value.is_forged


@pytest.mark.parametrize(
    "changed",
    [{"v": 2}, {"x": "101'or 1"}, {"x": "1" * 33}, {"n": "short"}, {"n": "no\nhex" * 6}, {"e": "soon"}, {"x": None}],
)
def test_signed_payload_of_another_form(changed: dict[str, Any]) -> None:
    """Another version of the module, or values that cannot be."""
    assert refused(made(**changed)) == "malformed"


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 300, b'{"v":1}'])
def test_signed_nonsense(payload: bytes) -> None:
    """It ends in a refusal, not in an error."""
    assert refused(signed(payload)) in ("malformed", "signature")


def test_used_once() -> None:
    """The second use is a replay; after its time the nonce is forgotten, since the token is refused by then."""
    used, token = UsedTokens(), read_token(made(), SECRET, MADE_AT)
    used.use(token, MADE_AT)
    with pytest.raises(TokenError, match="used already") as caught:
        used.use(token, EXPIRES + CLOCKS_DIFFER)
    assert caught.value.reason == "replayed"
    used.use(token, EXPIRES + CLOCKS_DIFFER + 1)


def test_memory_of_used_ones_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more openings than are remembered a new one is refused, not an old one forgotten."""
    monkeypatch.setattr(stream_token, "MOST_USED", 2)
    used = UsedTokens()
    tokens = [read_token(made(n=f"{number:032}"), SECRET, MADE_AT) for number in range(3)]
    for token in tokens[:2]:
        used.use(token, MADE_AT)
    with pytest.raises(TokenError, match="too many"):
        used.use(tokens[2], MADE_AT)
    used.use(tokens[2], EXPIRES + CLOCKS_DIFFER + 1)
