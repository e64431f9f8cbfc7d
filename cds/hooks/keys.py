"""The public keys of clients: from a file that the site was given, or from the listed ``jku``.

RFC 7517 (JWK Sets), RFC 7518 (what a key holds). A set is fetched beside the calls and kept; a call
waits for it only where it names a key that is not known yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

from cds.hooks.settings import Issuer

if TYPE_CHECKING:
    from cds.hooks.journal import Log

Key = ECKey | RSAKey
KeyTable = Mapping[tuple[str, str], Key]
"""Keys by ``kid`` and algorithm."""
Get = Callable[[str], Awaitable[bytes]]
"""The body at a ``jku``; raises KeysError."""

ALGORITHMS = ("ES384", "RS384")
MAX_BYTES = 256 * 1024
_MAX_KEYS = 100
_LEAST_BITS, _MOST_BITS = 2048, 8192

FRESH_SECONDS = 300.0
"""After so long a fetched set is fetched again, while the one at hand still serves."""
USABLE_SECONDS = 3600.0
"""After so long without a good answer a fetched set serves no more."""
AGAIN_SECONDS = 30.0
"""At most so often is a set asked for, whatever keys tokens name."""


class KeysError(Exception):
    """A set that cannot be had or read; the text is safe to log and holds nothing of a caller's."""


def read_keys(body: bytes) -> KeyTable:
    """The keys of a JWK Set that can check a signature of ours; raises KeysError.

    Left out are keys without a ``kid``, for another use, algorithm or curve, and RSA ones below
    2048 bits. Of two with one ``kid`` and algorithm the first counts.
    """
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise KeysError("is no JSON") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise KeysError("is no JWK Set")
    table: dict[tuple[str, str], Key] = {}
    for item in keys[:_MAX_KEYS]:
        kid, alg = _named(item)
        key = _read_key(item, alg) if kid and alg else None
        if key is not None:
            table.setdefault((kid, alg), key)
    return table


def _named(item: object) -> tuple[str, str]:
    """``kid`` and algorithm of a JWK; ("", "") where it can check no signature of ours."""
    if not isinstance(item, dict):
        return "", ""
    kid, operations = item.get("kid"), item.get("key_ops", ["verify"])
    alg = {"RSA": "RS384", "EC": "ES384"}.get(str(item.get("kty")), "")
    fits = (
        isinstance(kid, str)
        and item.get("use", "sig") == "sig"
        and item.get("alg", alg) == alg
        and isinstance(operations, list)
        and "verify" in operations
    )
    return (str(kid), alg) if fits else ("", "")


def _read_key(item: dict[str, Any], alg: str) -> Key | None:
    """The public key, of its public members alone; None where it is none, or a weak one."""
    names = ("kty", "n", "e") if alg == "RS384" else ("kty", "crv", "x", "y")
    members: dict[str, str | list[str]] = {
        name: item[name] for name in names if isinstance(item.get(name), str)
    }
    if len(members) < len(names):
        return None
    try:
        if alg == "ES384":
            return ECKey.import_key(members) if members["crv"] == "P-384" else None
        bits = int.from_bytes(urlsafe_b64decode(str(members["n"]).encode()), "big").bit_length()
        return RSAKey.import_key(members) if _LEAST_BITS <= bits <= _MOST_BITS else None
    except (JoseError, ValueError, TypeError):
        return None


class KeyFile:
    """A JWK Set in a file, read again when the file changes. A bad change leaves the old keys."""

    def __init__(self, path: Path, log: Log) -> None:
        self._path, self._log = path, log
        self._seen: tuple[int, int, int] | None = None
        self._table: KeyTable = {}

    def table(self) -> KeyTable:
        """The keys as they stand now."""
        try:
            now = self._path.stat()
            seen = (now.st_mtime_ns, now.st_size, now.st_ino)
            if seen != self._seen:
                self._seen = seen
                self._table = read_key_file(self._path)
        except (OSError, KeysError) as error:
            what = str(error) if isinstance(error, KeysError) else type(error).__name__
            self._log({"event": "keys", "from": "file", "error": what})
        return self._table


def read_key_file(path: Path) -> KeyTable:
    """The keys in a file; raises KeysError where there are none, or OSError."""
    with path.open("rb") as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise KeysError(f"has more than {MAX_BYTES} bytes")
    table = read_keys(body)
    if not table:
        raise KeysError("holds no key for ES384 or RS384 with a kid")
    return table


class Keys:
    """The keys of one issuer. ``get`` fetches its ``jku``; ``ticks`` are seconds that only grow."""

    def __init__(
        self, issuer: Issuer, get: Get, log: Log, ticks: Callable[[], float] = monotonic
    ) -> None:
        self._file = KeyFile(issuer.keys, log) if issuer.keys is not None else None
        self._jku, self._get, self._log, self._ticks = issuer.jku, get, log, ticks
        self._table: KeyTable = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str, alg: str) -> Key | None:
        """The key of that name for that algorithm, or None."""
        name = (kid, alg)
        given = self._file.table().get(name) if self._file is not None else None
        if given is not None or not self._jku:
            return given
        age = self._ticks() - self._fetched_at
        if age > USABLE_SECONDS:
            self._table = {}
        if name not in self._table or age > FRESH_SECONDS:
            fetching = self._start()
            if fetching is not None and name not in self._table:
                await asyncio.shield(fetching)
        return self._table.get(name)

    def _start(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one; None where it is too soon for another."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._ticks() - self._asked_at < AGAIN_SECONDS:
            return None
        self._asked_at = self._ticks()
        self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            self._table = read_keys(await self._get(self._jku))
            self._fetched_at = self._ticks()
        except KeysError as error:
            self._log({"event": "keys", "from": "jku", "error": str(error)})
        except Exception as error:  # noqa: BLE001 - a server of theirs never breaks a call of ours
            self._log({"event": "keys", "from": "jku", "error": type(error).__name__})
