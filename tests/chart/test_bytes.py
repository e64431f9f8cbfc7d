"""Bytes into documents: NDJSON, arrays, gzip, byte order marks, junk."""

from __future__ import annotations

import gzip
import json

import pytest

from cds.cards.judge import read_input
from cds.chart.document import read_documents
from cds.chart.reader import Charts
from tests.records import CONTRAST, bundle, order, person, setting

RESOURCES = [person(), order("o1", "metformin 500 MG Oral Tablet")]
NDJSON = b"\n".join(json.dumps(item).encode() for item in RESOURCES)


def read(data: bytes) -> Charts:
    return read_input(data, "input", setting(CONTRAST))


def told(charts: Charts) -> list[str]:
    return [problem.render() for problem in charts.problems]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(bundle(*RESOURCES)).encode(),
        json.dumps(bundle(*RESOURCES), indent=2).encode(),
        json.dumps(RESOURCES).encode(),
        NDJSON,
        NDJSON + b"\n",
        NDJSON.replace(b"\n", b"\r\n\r\n"),
        b"\xef\xbb\xbf" + NDJSON,
        b"\xef\xbb\xbf" + json.dumps(bundle(*RESOURCES)).encode(),
        gzip.compress(NDJSON),
        gzip.compress(json.dumps(RESOURCES).encode()) + b"\0" * 512,
        gzip.compress(NDJSON[:100]) + gzip.compress(NDJSON[100:]),
        gzip.compress(b"\xef\xbb\xbf" + NDJSON),
    ],
    ids="bundle indented array ndjson newline crlf bom bom-bundle gz padded members gz-bom".split(),
)
def test_every_shape_gives_the_same_chart(data: bytes) -> None:
    (chart,) = read(data).charts
    assert chart.patient.id == "p1"
    assert [str(course.records[0].source) for course in chart.courses] == ["MedicationRequest/o1"]
    assert not read(data).problems


def test_a_truncated_gzip() -> None:
    charts = read(gzip.compress(NDJSON)[:-20])
    assert not charts.charts
    assert told(charts) == [
        "input: damaged gzip data: it ends too early; accepted: gzip or plain JSON (file)"
    ]


def test_a_damaged_gzip() -> None:
    data = bytearray(gzip.compress(NDJSON * 50))
    data[20] ^= 0xFF
    (problem,) = told(read(bytes(data)))
    assert problem.startswith("input: damaged gzip data")


def test_a_bomb_is_refused() -> None:
    documents = read_documents(gzip.compress(b" " * 2_000_000), "input", max_bytes=1_000_000)
    assert not documents.values
    assert "unpacks to more than" in documents.problems.told("input")[0].what


@pytest.mark.parametrize("data", [b"", b" \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_input(data: bytes) -> None:
    assert told(read(data))[0].startswith("input: the input is empty; accepted: a Bundle")


@pytest.mark.parametrize(
    "data",
    [
        b"junk",
        b"{",
        b'{"resourceType": "Patient"',
        b"\xff\xfe\x00",
        b"\x1f",
        b"\x1f\x8b",
        b"<Patient xmlns='http://hl7.org/fhir'/>",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"junk\njunk\njunk",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_junk_is_one_problem(data: bytes) -> None:
    charts = read(data)
    assert not charts.charts
    assert len(told(charts)) == 1


@pytest.mark.parametrize("text", ["5", "null", '"words"', "true", "[5]", "[[]]", "[null]"])
def test_json_that_is_no_record(text: str) -> None:
    charts = read(text.encode())
    assert not charts.charts
    assert "not a resource; accepted: a JSON object (input)" in told(charts)[0]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"a": 1}',
        '{"resourceType": "Bundle"}',
        "[]",
    ],
)
def test_an_object_that_is_no_record(text: str) -> None:
    charts = read(text.encode())
    assert not charts.charts
    assert told(charts), "an input from which nothing comes says why"


def test_a_bad_line_never_stops_the_rest() -> None:
    charts = read(NDJSON + b"\n{broken\n" + json.dumps(order("o2", "x")).encode())
    (chart,) = charts.charts
    assert len(chart.courses) == 2
    (problem,) = told(charts)
    assert problem.startswith("input:3: this line is not JSON")


def test_amounts_keep_their_digits() -> None:
    data = b'{"resourceType":"Bundle","entry":[{"resource":{"value":0.10}}]}'
    ((value, _),) = read_documents(data, "input").values
    assert "0.10" in repr(value)
