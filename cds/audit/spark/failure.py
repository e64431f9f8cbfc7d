"""Why a job of Spark failed, in a sentence: its own account is hundreds of lines."""

from __future__ import annotations

import re

_KNOWN = (
    (
        r"No module named '([\w.]+)'",
        "the executors' Python has no '{}'; accepted: cds-rules-engine installed there (or in an"
        " archive that spark.archives names), in the Python that PYSPARK_PYTHON names",
    ),
    (
        r"PYTHON_VERSION_MISMATCH|different version in worker|Python in worker has different",
        "the executors have another Python than the driver; accepted: the same minor version, by"
        " PYSPARK_PYTHON",
    ),
    (
        r"Cannot run program \"([^\"]+)\"",
        "the executors cannot run {}; accepted: a Python that is there, by PYSPARK_PYTHON",
    ),
    (
        r"is bigger than (?:local )?spark\.driver\.maxResultSize",
        "the outcomes of one wave are too large for the driver; accepted: a higher"
        " spark.driver.maxResultSize and spark.driver.memory",
    ),
    (
        r"(No space left on device)",
        "an executor's disk is full ({}); accepted: more room where spark.local.dir points",
    ),
    (
        r"OutOfMemoryError",
        "Java ran out of memory; accepted: a higher spark.driver.memory or spark.executor.memory",
    ),
    (
        r"Worker exited prematurely|Python worker exited unexpectedly|ExecutorLostFailure",
        "executors, or their Python processes, died again and again; accepted: more"
        " spark.executor.memoryOverhead, and a bound in spark.executor.pyspark.memory",
    ),
    (
        r"SparkContext was shut down|SparkContext has been shutdown|stopped SparkContext"
        r"|Job \S+ cancelled",
        "the cluster ended the application, or never took it",
    ),
)
_LAST = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Exit))\b", re.MULTILINE)


def why_failed(error: BaseException) -> str:
    """What went wrong and what would do; of an unknown failure the class alone.

    The rest of the text is not told: it might quote a record.
    """
    text = str(error)
    for pattern, told in _KNOWN:
        found = re.search(pattern, text)
        if found is not None:
            return told.format(*found.groups())
    names = _LAST.findall(text)
    return f"Spark gave up ({names[-1] if names else type(error).__name__})"
