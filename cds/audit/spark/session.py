"""Starts what a run on Spark needs and ends it again: Java, a context, what executors are sent."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import cds
from cds.audit.output import AuditError
from cds.cards.judge import Setting
from cds.rulebook.site import Site

if TYPE_CHECKING:
    from cds.audit.spark.cluster import Cluster

_JAVA = 17
_MASTER = re.compile(
    r"local(\[(\*|\d+)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]|spark://.+|yarn|k8s://.+"
)
_ACCEPTED = "local[N], local-cluster[N,CORES,MEM], spark://HOST:PORT, yarn, k8s://URL"
_TRIES = 4
_QUIET = """
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
"""


class Target(msgspec.Struct, frozen=True):
    """Where to run, and what the rulebook of the setting was read from."""

    url: str
    pack: Path
    site: Site
    conf: tuple[str, ...] = ()


def check_target(target: Target) -> None:
    """Raises ``AuditError`` for what can be told to be missing or wrong before anything starts."""
    if not _MASTER.fullmatch(target.url):
        raise AuditError(f"--on: '{target.url}' is no cluster; accepted: {_ACCEPTED}")
    for item in target.conf:
        if not re.match(r"spark\.\S+=", item):
            raise AuditError(f"--spark-conf: '{item}' is not accepted; accepted: spark.NAME=VALUE")
    if find_spec("pyspark") is None:
        raise AuditError(
            "--on needs PySpark, which is not installed; accepted: after"
            " pip install 'cds-rules-engine[spark]'"
        )
    _check_java()


def _check_java() -> None:
    wanted = (
        f"a Java runtime, version {_JAVA} or later, on the PATH or in JAVA_HOME (Debian: apt-get"
        " install default-jre-headless)"
    )
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if java is None or not Path(java).exists():
        where = f" in JAVA_HOME ({home})" if home else ""
        raise AuditError(f"--on needs Java, which is not there{where}; accepted: {wanted}")
    try:
        told = subprocess.run(  # noqa: S603 - the Java that Spark itself would start
            [java, "-version"], capture_output=True, check=False, timeout=60
        ).stderr.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuditError(f"--on: {java} cannot be run; accepted: {wanted}") from error
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    if found is not None and int(found[1]) < _JAVA:
        raise AuditError(f"--on: {java} is Java {found[1]}; accepted: {wanted}")


@contextmanager
def spark_hands(setting: Setting, target: Target, memory: int = 0) -> Iterator[Cluster]:
    """The hands of the cluster; each process that judges has ``memory`` bytes, 0: as usual.

    Raises ``AuditError`` when there is no cluster.
    """
    check_target(target)
    with spark_context(target) as spark:
        from cds.audit.spark.cluster import Cluster
        from cds.audit.spark.edition import Edition
        from cds.audit.spark.failure import why_failed
        from cds.audit.spark.tasks import Parcel

        edition = Edition.of(setting, target.pack, target.site, memory)
        key = hashlib.sha256(pickle.dumps(edition)).hexdigest()
        try:
            sent = spark.broadcast(edition)
            cluster = Cluster(spark, Parcel(key, sent))
        except Exception as error:
            raise AuditError(f"--on: {target.url} is not there: {why_failed(error)}") from error
        try:
            yield cluster
        finally:
            cluster.close()
            with suppress(Exception):
                sent.destroy()


@contextmanager
def spark_context(target: Target) -> Iterator[Any]:
    """The context that is there already, which is left as it is; else one that is ended again."""
    from pyspark import SparkContext

    active = SparkContext._active_spark_context
    if active is not None:
        yield active
        return
    with tempfile.TemporaryDirectory(prefix="cds-spark-") as folder:
        spark, gateway = _started(target, Path(folder))
        try:
            yield spark
        finally:
            _ended(spark, gateway)


def _started(target: Target, folder: Path) -> tuple[Any, Any]:
    """A context and the gateway to its Java, which logs into ``folder``. Raises ``AuditError``."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    from cds.audit.spark.failure import why_failed

    quiet, log = folder / "log4j2.properties", folder / "spark.log"
    quiet.write_text(_QUIET)
    if target.url.startswith("local"):
        # Workers of this machine are started with the Python that runs here.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = SparkConf(loadDefaults=False).setAll(_settings(target, quiet))
    try:
        with log.open("wb") as out:
            gateway = launch_gateway(conf, {"stdout": out, "stderr": out})
        with _own_signals():
            return SparkContext(conf=conf, gateway=gateway), gateway
    except Exception as error:
        _forget()
        told = log.read_text(errors="replace").strip().splitlines()
        last = next((line for line in reversed(told) if "Exception" in line), "")
        raise AuditError(
            f"--on: Spark does not start at {target.url}: {last[:300] or why_failed(error)}"
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps Ctrl-C ours, which a context would take."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)


def _settings(target: Target, quiet: Path) -> list[tuple[str, str]]:
    """The configuration: ours where neither the user nor the site's Spark says another."""
    given = dict(item.split("=", 1) for item in target.conf)
    java = f"-Dlog4j2.configurationFile={quiet.as_uri()}"
    if target.url.startswith("local"):
        # It lives for one run and only carries bytes: to compile more would cost more.
        java += " -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    own = {
        "spark.app.name": "cds audit",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.extraJavaOptions": java,
    }
    if target.url.startswith("local"):
        own |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.executorEnv.PYTHONPATH": _pythonpath(),
        }
    return list({**own, **given, "spark.master": _retrying(target.url)}.items())


def _pythonpath() -> str:
    """Where this ``cds`` is, so that workers of this machine have the same."""
    here = str(Path(cds.__file__).parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))


def _retrying(url: str) -> str:
    """The URL; in one process Spark gives a task one try only, unless it is told otherwise."""
    if url == "local":
        return f"local[1,{_TRIES}]"
    return re.sub(r"^local\[([*\d]+)\]$", rf"local[\1,{_TRIES}]", url)


def _ended(spark: Any, gateway: Any) -> None:
    """Stops the context and its Java."""
    with suppress(Exception):
        spark.stop()
    with suppress(Exception):
        gateway.shutdown()
    process = getattr(gateway, "proc", None)
    if process is not None:
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
    _forget()


def _forget() -> None:
    """Lets the next context start a Java of its own."""
    from pyspark import SparkContext

    SparkContext._gateway = SparkContext._jvm = None
