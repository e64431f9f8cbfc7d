"""A JWT as it comes in ``Authorization``, and what its claims must say. No keys and no clock here.

CDS Hooks 2.0, Trusting CDS Clients, https://cds-hooks.hl7.org/2.0/#trusting-cds-clients; RFC 7519,
RFC 8725. Nothing of a token is to be trusted, logged or told before its signature is checked, and
nothing of it is logged or told after that either, save an issuer that the site lists itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from joserfc.errors import JoseError
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

from cds.hooks.keys import ALGORITHMS, Key
from cds.hooks.settings import Issuer

Reason = Literal[
    "missing", "scheme", "malformed", "iss", "aud", "exp", "iat", "nbf", "tenant", "alg", "typ",
    "kid", "jku", "crit", "jti", "signature", "replayed", "fault",
]  # fmt: skip

MAX_BYTES = 8 * 1024
"""A token of an EHR has about 700 bytes."""
LEEWAY_SECONDS = 30
"""So far may the clocks of client and service differ."""
LIFE_SECONDS = 3600
"""No token counts for longer, whatever its ``exp`` says: so long is its ``jti`` remembered."""


class _Registry(JWSRegistry):
    max_header_length = MAX_BYTES
    max_payload_length = MAX_BYTES
    max_signature_length = 2048


# Header parameters that mean nothing to us are ignored, as RFC 7515 asks; `crit` is refused below.
_REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


class Denied(Exception):  # noqa: N818 - a caller that is turned away is no error of ours
    """Why a caller is not let in: for counts and the log, never for the caller.

    ``issuer`` is "" unless the token names one that the site lists.
    """

    def __init__(self, reason: Reason, issuer: str = "") -> None:
        super().__init__(reason)
        self.reason, self.issuer = reason, issuer


@dataclass(frozen=True, slots=True)
class Token:
    """A token that could be read. Its text is in none of its fields that can be shown."""

    signed: CompactSignature
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def __repr__(self) -> str:
        return "Token(…)"


def read_token(authorization: Sequence[bytes]) -> Token:
    """The token of a call, given all of its ``Authorization`` headers; raises Denied."""
    if not authorization:
        raise Denied("missing")
    scheme, _, text = authorization[0].strip().partition(b" ")
    text = text.strip(b" ")
    if len(authorization) > 1 or scheme.lower() != b"bearer":
        raise Denied("scheme")
    if not text or len(text) > MAX_BYTES or text.count(b".") != 2:
        raise Denied("malformed")
    try:
        signed = extract_compact(text, None, _REGISTRY)
        claims = msgspec.json.decode(signed.payload)
    # The library takes a header for an object before it looks.
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise Denied("malformed") from None
    if not isinstance(claims, dict) or not isinstance(signed.headers(), dict):
        raise Denied("malformed")
    return Token(signed, signed.headers(), claims)


def check_claims(
    token: Token, issuers: Mapping[str, Issuer], endpoint: str, now: float
) -> tuple[Issuer, float]:
    """The issuer of a token, and until when (seconds of the epoch) the token counts.

    ``endpoint`` is the address that is called. In the order of the standard: issuer, audience,
    times, tenant. Raises Denied.
    """
    claims = token.claims
    iss = claims.get("iss")
    issuer = issuers.get(iss) if isinstance(iss, str) else None
    if issuer is None:
        raise Denied("iss")
    aud = claims.get("aud")
    if endpoint not in (aud if isinstance(aud, list) else [aud]):
        raise Denied("aud", issuer.iss)
    until = _check_times(claims, issuer.iss, now)
    if issuer.tenants and claims.get("tenant") not in issuer.tenants:
        raise Denied("tenant", issuer.iss)
    return issuer, until


def _check_times(claims: Mapping[str, Any], issuer: str, now: float) -> float:
    until, issued = _seconds(claims, "exp", issuer), _seconds(claims, "iat", issuer)
    until = min(until, issued + LIFE_SECONDS)
    if until + LEEWAY_SECONDS <= now:
        raise Denied("exp", issuer)
    if issued - LEEWAY_SECONDS > now:
        raise Denied("iat", issuer)
    if "nbf" in claims and _seconds(claims, "nbf", issuer) - LEEWAY_SECONDS > now:
        raise Denied("nbf", issuer)
    return until + LEEWAY_SECONDS


def _seconds(claims: Mapping[str, Any], name: Literal["exp", "iat", "nbf"], issuer: str) -> float:
    """A NumericDate; raises Denied for what is none, is missing, or lies beyond every calendar."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Denied(name, issuer)
    if not 0 <= value < 1e11:
        raise Denied(name, issuer)
    return float(value)


def check_header(token: Token, issuer: Issuer) -> tuple[str, str]:
    """``kid`` and ``alg`` by which the key is looked up; raises Denied.

    Algorithms are the two of the standard. A key comes from the site alone: what the header holds
    (``jwk``, ``x5c``) or points to (``x5u``) is never looked at, ``jku`` only compared.
    """
    header = token.header
    alg, kid, typ, jku = (header.get(name) for name in ("alg", "kid", "typ", "jku"))
    if alg not in ALGORITHMS:
        raise Denied("alg", issuer.iss)
    if "crit" in header or "b64" in header:
        raise Denied("crit", issuer.iss)
    if not isinstance(typ, str) or typ.upper() != "JWT":
        raise Denied("typ", issuer.iss)
    if not isinstance(kid, str) or not kid:
        raise Denied("kid", issuer.iss)
    if issuer.jku and jku is not None and jku != issuer.jku:
        raise Denied("jku", issuer.iss)
    return kid, str(alg)


def check_signature(token: Token, key: Key, issuer: Issuer) -> None:
    """Returns if the key made the signature; raises Denied."""
    try:
        good = validate_compact(token.signed, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError):
        good = False
    if not good:
        raise Denied("signature", issuer.iss)


def identity(token: Token, issuer: Issuer) -> str:
    """The ``jti`` of a token, by which it is known again; raises Denied."""
    jti = token.claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise Denied("jti", issuer.iss)
    return jti
