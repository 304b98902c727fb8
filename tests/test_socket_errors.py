from __future__ import annotations

import errno
import socket
import ssl

import pytest
import trio

from uac_trio.socket_errors import is_untrusted, socket_reason


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def certificate(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:992)")
    error.verify_code, error.verify_message = code, message
    return error


REFUSED = OSError(errno.ECONNREFUSED, "Error connecting to ('127.0.0.1', 1): Connection refused")
TIMED_OUT = OSError(errno.ETIMEDOUT, "Error connecting to ('::1', 1, 0, 0): Connection timed out")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (REFUSED, "Connection refused"),
        (caused(OSError("all attempts failed"), ExceptionGroup("", [REFUSED, REFUSED])), "Connection refused"),
        (caused(OSError("all attempts failed"), ExceptionGroup("", [TIMED_OUT, REFUSED])),
         "Connection timed out; Connection refused"),
        (caused(OSError("wrapped"), Exception(REFUSED)), "Connection refused"),  # as httpcore does, "from None"
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (caused(trio.BrokenResourceError(), certificate(18, "self-signed certificate")),
         "its certificate is not trusted: self-signed certificate"),
        (caused(trio.BrokenResourceError(), certificate(62, "Hostname mismatch, it is for 'x'.")),
         "its certificate is refused: Hostname mismatch, it is for 'x'"),
        (ssl.SSLError("bad certificate"), "bad certificate"),
        (ssl.SSLError(0, "tls_ca /x cannot be read"), "tls_ca /x cannot be read"),
        (caused(trio.BrokenResourceError("broken"), trio.TooSlowError()), "broken"),
        (UnicodeError("label too long"), "label too long"),
        (trio.TooSlowError(), ""),
    ],
)  # fmt: skip
def test_reason(error: BaseException, words: str) -> None:
    """The words are those of the root, each once, without numbers, addresses or places in C files."""
    assert socket_reason(error) == words


@pytest.mark.parametrize(
    ("error", "untrusted"),
    [
        (caused(trio.BrokenResourceError(), certificate(20, "unable to get local issuer certificate")), True),
        (certificate(62, "Hostname mismatch"), False),
        (REFUSED, False),
    ],
)
def test_untrusted(error: BaseException, untrusted: bool) -> None:
    """Only a certificate without a known authority can be cured by naming one."""
    assert is_untrusted(error) is untrusted
