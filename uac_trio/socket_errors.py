"""Why a connection could not be made, or broke: errors of sockets and of TLS in words for an administrator."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

# X509_V_ERR_* of openssl/x509_vfy.h: self-signed, or no known authority signed it.
_UNTRUSTED = frozenset({18, 19, 20, 21})


def socket_reason(error: BaseException) -> str:
    """The reasons at the roots of ``error``, one for each address that was tried; "" if none has words.

    trio and httpx wrap what the system said: their own errors are empty, or show the address as a Python tuple.
    """
    return "; ".join(dict.fromkeys(filter(None, map(_words, _roots(error)))))


def is_untrusted(error: BaseException) -> bool:
    """The server's certificate was refused: no authority that we trust has signed it."""
    return any(
        isinstance(root, ssl.SSLCertVerificationError) and root.verify_code in _UNTRUSTED for root in _roots(error)
    )


def _roots(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _roots(one)
        return
    # httpcore raises "from None" in the end; what it wraps is its error's argument.
    cause = error.__cause__ or next((argument for argument in error.args if isinstance(argument, BaseException)), None)
    roots = [] if cause is None else list(_roots(cause))
    yield from roots if any(map(_words, roots)) else [error]


def _words(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError(verify_message=str(why)) if why:
            trusted = "is not trusted" if error.verify_code in _UNTRUSTED else "is refused"
            return f"its certificate {trusted}: {why.rstrip('.')}"
        case ssl.SSLError(reason=str(why)):  # such as WRONG_VERSION_NUMBER
            return f"TLS fails: {why.replace('_', ' ').lower()}"
        case ssl.SSLError():
            return error.strerror or ", ".join(map(str, error.args))
        case socket.gaierror():
            return error.strerror or str(error)
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case OSError():
            return error.strerror or str(error)
        case _:
            return str(error)
