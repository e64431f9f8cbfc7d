"""Clients of the service as tests play them: their keys, and tokens good and bad."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from cds.hooks.settings import Issuer, Settings
from tests.records import AS_OF

PUBLIC_URL = "https://cds.example.org"
NOW = int(AS_OF.timestamp())
EHR = "https://ehr.example.org"
SIGN = "/cds-services/ldn-order-sign"

_numbers = count(1)


def b64(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Client:
    """One client with one key pair."""

    def __init__(self, key: ECKey | RSAKey | None = None, kid: str = "k1") -> None:
        self.key = key or ECKey.generate_key("P-384")
        self.kid = kid
        self.alg = "ES384" if isinstance(self.key, ECKey) else "RS384"

    def jwk(self, **more: object) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "kid": self.kid, **more}

    def header(self, **changes: object) -> dict[str, object]:
        usual = {"alg": self.alg, "kid": self.kid, "typ": "JWT"}
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def claims(self, path: str = SIGN, **changes: object) -> dict[str, object]:
        usual = {
            "iss": EHR, "aud": PUBLIC_URL + path, "iat": NOW, "exp": NOW + 300,
            "jti": f"jti-{next(_numbers)}",
        }  # fmt: skip
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def signed(self, header: object, claims: object) -> str:
        """A token with the signature that the key makes, whatever its header says."""
        return self.sealed(f"{b64(header)}.{b64(claims)}")

    def sealed(self, text: str) -> str:
        signature = JWSRegistry.algorithms[self.alg].sign(text.encode(), self.key)
        return f"{text}.{b64(signature)}"

    def token(self, path: str = SIGN, **changes: object) -> str:
        return self.signed(self.header(), self.claims(path, **changes))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def key_set(*keys: object) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def site(path: Path, *keys: object, **more: Any) -> Settings:
    """Settings of a site with one client, whose keys are written to the file."""
    path.write_bytes(key_set(*keys))
    issuer = Issuer(EHR, path, tenants=more.pop("tenants", ()), jku=more.pop("jku", ""))
    return Settings(public_url=PUBLIC_URL, issuers=(issuer,), **more)


def reasons(events: Iterable[Any]) -> list[str]:
    """Why callers were turned away, as the log has it."""
    return [event["reason"] for event in events if event["event"] == "refused"]
