"""How a command ends that cannot go on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import click

from uac_trio.config.reader import ConfigError

T = TypeVar("T")


def usable(load: Callable[[], T]) -> T:
    """The result of ``load``. A wrong configuration ends the program with 2 and every problem on stderr."""
    try:
        return load()
    except ConfigError as why:
        for problem in why.problems:
            click.echo(problem, err=True)
        sys.exit(2)


def fail(*messages: str) -> NoReturn:
    """End the program with 1 and these lines on stderr."""
    for message in messages:
        click.echo(message, err=True)
    sys.exit(1)
