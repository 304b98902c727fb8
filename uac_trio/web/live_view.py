"""``/live`` as HTML, in the language of the browser. The template escapes every value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from uac_trio.web.live_texts import FINDINGS_IN_RUSSIAN, Language, text


def render(state: Mapping[str, Any], *, language: Language, nonce: str, token: str) -> str:
    """The page. ``state``: as ``/live.json``; ``nonce``: of its script and style; ``token``: of its forms."""
    return page_template().render(
        state=state,
        nonce=nonce,
        token=token,
        language=language.value,
        t=partial(_marked, language),
        clock=partial(clock, language=language, now=state["now"]),
        span=partial(span, language=language),
        finding_texts=FINDINGS_IN_RUSSIAN if language is Language.RUSSIAN else {},
    )


@cache
def page_template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((resources.files("uac_trio.web") / "live.html").read_text(encoding="utf-8"))


def _marked(language: Language, key: str, **values: object) -> Markup:
    """A text of the catalogue as HTML, its values escaped."""
    return escape(text(language, key)).format(**values)


def clock(at: float | None, now: float, language: Language = Language.ENGLISH) -> str:
    """``18:04:11``, with the date if it is another day; in this machine's time zone."""
    if at is None:
        return "–"
    then, today = (datetime.fromtimestamp(each).astimezone() for each in (at, now))
    if then.date() == today.date():
        return f"{then:%H:%M:%S}"
    return f"{then:%d.%m. %H:%M:%S}" if language is Language.RUSSIAN else f"{then:%d %b %H:%M:%S}"


def span(seconds: float | None, language: Language = Language.ENGLISH) -> str:
    """``0.35 s``, ``12 s``, ``3:05 min``, ``2 h 05 min``, ``4 days``."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        exact = f"{max(0.0, seconds):.1f}" if seconds >= 0.995 or seconds <= 0 else f"{seconds:.2f}"
        return text(language, "span.s", n=exact)
    whole = round(seconds)
    if whole < 60:
        return text(language, "span.s", n=whole)
    if whole < 3600:
        return text(language, "span.min", n=f"{whole // 60}:{whole % 60:02}")
    if whole < 2 * 86400:
        return text(language, "span.h", h=whole // 3600, min=f"{whole % 3600 // 60:02}")
    return text(language, "span.days", n=whole // 86400)
