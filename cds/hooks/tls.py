"""TLS of the service itself: a certificate and its key, tried before the service listens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class TlsError(Exception):
    """Why a certificate cannot be used, in words for whoever starts the service."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: the certificate with its chain, and its key, which has no password."""

    certificate: Path
    key: Path

    def server_options(self) -> dict[str, Any]:
        """What the server is started with. TLS 1.2 is the least, as Python has it."""
        return {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}


def read_tls(certificate: Path | None, key: Path | None) -> Tls | None:
    """The files, if any are named; raises TlsError for those that cannot be served with."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "--tls-cert" if certificate is None else "--tls-key"
        raise TlsError(f"{missing} is missing; accepted: both --tls-cert and --tls-key, or neither")
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        if not path.is_file():
            raise TlsError(f"{option}: there is no file {path}; accepted: a file in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password given here, a key that has one would be asked for on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        what = f"--tls-cert {certificate} and --tls-key {key} cannot be used ({why})"
        accepted = "a certificate and the key it was made for, in PEM, without a password"
        raise TlsError(f"{what}; accepted: {accepted}") from None
    return Tls(certificate, key)
