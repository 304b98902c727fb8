"""Tokens as a CRM makes them."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

SECRET = "crm-secret"
EXPIRES = 1764000060
NONCE = "0123456789abcdef0123456789abcdef"
VECTOR = (
    "eyJ2IjoxLCJ1Ijo1LCJ4IjoiMTAxIiwiZSI6MTc2NDAwMDA2MCwibiI6IjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmIn0"
    ".NopqViRllnMsld40OUixTkUksayzdRHCfB97pfhz1ko"
)
"""User 5, extension 101, ``EXPIRES`` and ``NONCE``, signed with ``SECRET``. PHP makes the same one."""


def signed(payload: bytes, secret: str = SECRET) -> str:
    part = _encoded(payload)
    signature = hmac.new(secret.encode(), b"uac-companion\n" + part.encode(), "sha256").digest()
    return f"{part}.{_encoded(signature)}"


def made(secret: str = SECRET, **changed: Any) -> str:
    fields = {"v": 1, "u": 5, "x": "101", "e": EXPIRES, "n": NONCE} | changed
    return signed(json.dumps(fields, separators=(",", ":")).encode(), secret)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
