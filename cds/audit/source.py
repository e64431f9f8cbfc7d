"""Something that an audit can read: a file, a member of an archive, one line of either."""

from __future__ import annotations

import os
import zipfile
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import msgspec

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What a member of an archive raises that cannot be unpacked, beside OSError."""


def spelled(path: str) -> str:
    """A path as text that can be written: bytes that are no UTF-8 as a backslash and their hex."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Source(msgspec.Struct, frozen=True):
    """``name`` is as it was given, or as a file of what was given; ``path`` where it stands.

    Of a member of an archive ``name`` is ``archive.zip!member`` and ``member`` its place in the
    archive's list; ``size`` is in bytes, unpacked for a member. ``path`` is left out where it is
    the name, which is always text that can be written.
    """

    name: str
    size: int = 0
    path: str = ""
    member: int = -1
    inner: str = ""

    @classmethod
    def at(cls, path: str, size: int = 0) -> Source:
        """A file that is called as it is found."""
        name = spelled(path)
        return cls(name, size, "" if name == path else path)

    def fields(self) -> tuple[str, int, str, int, str]:
        """What makes it, for what is more than a source."""
        return self.name, self.size, self.path, self.member, self.inner

    @property
    def place(self) -> Path:
        """The file that it is, or is in."""
        return Path(self.path or self.name)

    @property
    def title(self) -> str:
        """What it is called, without its folder or archive."""
        return PurePosixPath(self.inner).name if self.inner else Path(self.name).name

    @property
    def folder(self) -> tuple[str, str]:
        """Where its neighbours are: the real path of a folder, or of an archive and in there."""
        if self.inner:
            return os.path.realpath(self.place), str(PurePosixPath(self.inner).parent)
        return os.path.realpath(self.place.parent), ""

    def open(self, mode: Literal["rb"] = "rb") -> IO[bytes]:
        """The bytes. Raises OSError, and what `DAMAGE` lists."""
        if self.member < 0:
            return self.place.open(mode)
        archive = _archive(str(self.place), os.getpid())
        return archive.open(archive.infolist()[self.member])

    def is_packed(self) -> bool:
        """Whether it cannot be read from the middle: gzip, or a member. False if unreadable."""
        with suppress(OSError, *DAMAGE), self.open() as file:
            return self.member >= 0 or file.read(2) == b"\x1f\x8b"
        return self.member >= 0


# Of one archive after the other the list of members is read once in each process: a file that a
# fork inherits would share its position.
@lru_cache(maxsize=1)
def _archive(path: str, process: int) -> zipfile.ZipFile:
    del process
    return zipfile.ZipFile(path)


def reason_of(error: Exception) -> str:
    """Why a source could not be read, for people."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or type(error).__name__}"
    text = str(error).partition("\n")[0] or type(error).__name__
    return f"cannot be unpacked: {text}"
