"""Keeps the child process: starts it when first needed, ends it before it grows, retries once.

Whatever the child does (it crashes, it hangs, it answers nonsense) the caller gets an answer or a
``ChildError`` that says what happened in a phrase. One patient at a time, from any thread.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

import cds
from cds.second.frame import read_frame, write_frame
from cds.second.wiring import Job, Reply, Wiring

LAST_PYTHON = (3, 12)
_PIPE_HOLDS = 4096


class ChildError(Exception):
    """No answer came for a patient, nor from a second child; the text says how it ended."""


class Limits(msgspec.Struct, frozen=True):
    """How long one patient, and the start, may take (seconds); after how many patients, or at what
    size (bytes), the child is replaced.
    """

    patient: float = 10.0
    start: float = 60.0
    patients: int = 5_000
    memory: int = 256 * 1024 * 1024


def unavailable() -> str:
    """Why the second engine cannot run here, in one sentence; "" where it can."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info[:2] > LAST_PYTHON:
        return (
            "the durable engine is not available: durable-rules 2.0.28 cannot be imported on"
            f" Python {version}, the last it runs on is 3.12"
        )
    if importlib.util.find_spec("durable") is None:
        return "the durable engine is not available: the package durable-rules is not installed"
    return ""


class Supervisor:
    """One child for one network. Counts how many were ``started``, and how often one was asked."""

    def __init__(self, wiring: Wiring, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.started = 0
        self.asked = 0
        self._wiring = msgspec.msgpack.encode(wiring)
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def judge(self, job: Job) -> Reply:
        """The child's answer. Raises ChildError after a second child failed too."""
        frame = msgspec.msgpack.encode(job)
        with self._lock:
            try:
                return self._once(frame)
            except ChildError:
                self._end()
            try:
                return self._once(frame)
            except ChildError:
                self._end()
                raise

    @property
    def pid(self) -> int | None:
        """The child's process, while there is one."""
        return self._child.pid if self._child is not None else None

    def interrupt(self) -> None:
        """Ends the child whatever it is at: whoever waits for it is answered by another one."""
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """Ends the child, if there is one; it can be started again."""
        with self._lock:
            self._end()

    def _once(self, frame: bytes) -> Reply:
        child = self._alive()
        child.patients += 1
        self.asked += 1
        answer = child.ask(frame, self.limits.patient)
        if answer.error:
            raise ChildError(f"the library failed ({answer.error})")
        return answer

    def _alive(self) -> _Child:
        child = self._child
        if child is not None and child.owner != os.getpid():
            child = self._child = None  # inherited by a fork: it is the other process's
        if child is not None and self._is_worn(child):
            self._end()
            child = None
        if child is None:
            self.started += 1
            child = self._child = _Child()
            child.ask(self._wiring, self.limits.start)
        return child

    def _is_worn(self, child: _Child) -> bool:
        if child.patients >= self.limits.patients:
            return True
        return child.patients % 64 == 63 and child.memory() > self.limits.memory

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.owner == os.getpid():
            child.end()


class _Child:
    """A running child and the thread that reads what it says."""

    def __init__(self) -> None:
        home = str(Path(cds.__file__).parent.parent)
        paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH", ""))))
        self.owner = os.getpid()
        self.patients = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cds.second.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nothing that it says there is for anyone: it might quote a record.
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self.pid = self._process.pid
        self._answers: SimpleQueue[bytes | None] = SimpleQueue()
        threading.Thread(target=self._read, name="second-engine", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        frame: bytes | None = b""
        while frame is not None:
            try:
                frame = read_frame(self._process.stdout)
            except (OSError, ValueError):
                frame = None
            self._answers.put(frame)

    def ask(self, frame: bytes, seconds: float) -> Reply:
        """The answer to one frame, in time; raises ChildError."""
        self._write(frame, seconds)
        try:
            answer = self._answers.get(timeout=seconds)
        except Empty:
            raise ChildError(f"no answer within {seconds:g} s") from None
        if answer is None:
            raise ChildError(self._ended())
        try:
            return msgspec.msgpack.decode(answer, type=Reply)
        except msgspec.MsgspecError as error:
            raise ChildError("its answer could not be read") from error

    def _write(self, frame: bytes, seconds: float) -> None:
        """Writes the frame; a child that hangs while it is read is ended."""
        assert self._process.stdin is not None
        watch = threading.Timer(seconds, self._process.kill)
        watch.daemon = True
        # What the pipe holds anyway is written at once, whether or not anybody reads it.
        if len(frame) > _PIPE_HOLDS:
            watch.start()
        try:
            write_frame(self._process.stdin, frame)
        except OSError as error:
            raise ChildError(self._ended()) from error
        finally:
            watch.cancel()

    def _ended(self) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "its pipe was closed"
        return f"it ended by signal {-code}" if code < 0 else f"it ended with code {code}"

    def memory(self) -> int:
        """The bytes that it holds; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError, AttributeError):
            return 0

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
