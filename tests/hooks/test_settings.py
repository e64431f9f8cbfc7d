"""What a site says of its service is read with its defaults, or every error is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.hooks.settings import Issuer, Rate, Settings, read_settings
from cds.rulebook.document import parse_document
from cds.rulebook.reading import Author
from cds.values.problem import Problem
from tests.test_cli import cds

GOOD = """\
timezone: America/New_York
service:
  public-url: https://cds.example.org/
  issuers:
    - {iss: https://ehr.example.org, keys: ehr.json, tenants: [a]}
  fhir-servers:
    - {origin: https://fhir.example.org, networks: [10.0.0.0/8]}
    - {origin: "http://127.0.0.1:9", plain-http: yes, networks: [127.0.0.0/8]}
  budget: 0.25 s
  largest-body: 2 MiB
  rate: 50 per second
  store: sqlite:///feedback.db
"""

BAD = [
    ("  nonsense: 1", "2:3: 'nonsense' is no key of the service; accepted: budget"),
    ("  budget: soon", "'soon' is no budget; accepted: a number above 0 with one of ms, s"),
    ("  budget: 0 ms", "'0 ms' is no budget"),
    ("  largest-body: 5 GB", "'5 GB' is no largest-body; accepted: a number above 0 with one of KiB, MiB"),
    ("  rate: 5", "'5' is no rate; accepted: 50 per second"),
    ("  rate: 0 per second", "'0 per second' is no rate"),
    ("  fhir-servers: [{origin: https://a.example/fhir}]", "'https://a.example/fhir' is no origin"),
    ("  fhir-servers: [{origin: http://a.example}]", "'http://a.example' is not https; accepted: https, or plain-http: yes"),
    ("  fhir-servers: [{origin: https://a.example, networks: [10.0.0.1/8]}]", "'10.0.0.1/8' is no network"),
    ("  fhir-servers: [{origin: 'https://u@a.example'}]", "'https://u@a.example' is no origin"),
    ("  fhir-servers: [{origin: 'https://a.example:99999'}]", "'https://a.example:99999' is no origin"),
    ("  fhir-servers: [{origin: 'https://a.example#x'}]", "'https://a.example#x' is no origin"),
    ("  fhir-servers: [{origin: 'https://[a'}]", "'https://[a' is no origin"),
    ("  fhir-servers: [{origin: 'https://'}]", "'https:' is no origin"),
    ("  fhir-servers: [{origin: https://a.example, networks: [169.254.169.254/32]}]", "addresses of '169.254.169.254/32' are never connected to; accepted: a private address range"),
    ("  fhir-servers: [{origin: https://a.example, networks: ['fe80::/64']}]", "addresses of 'fe80::/64' are never connected to"),
    ("  fhir-servers: [{networks: [10.0.0.0/8]}]", "'origin' is missing"),
    ("  issuers: [{iss: a}]\n  public-url: https://a.example", "an issuer without keys"),
    ("  issuers: [{iss: a, keys: k}]", "'public-url' is missing"),
    ("  public-url: nowhere", "'nowhere' is no address"),
]  # fmt: skip


def read(text: str, folder: Path) -> tuple[Settings, list[str]]:
    problems: list[Problem] = []
    node = parse_document(text, "site.yaml", problems)
    assert node is not None
    found = read_settings(node.get("service"), Author(problems), folder)
    return found, [problem.render() for problem in problems]


def test_a_bad_setting_stops_the_service_before_it_listens(tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    config.write_text("service:\n  budget: soon\n")
    done = cds("serve", "--port", "0", "--config", config)
    assert done.returncode == 2
    assert f"{config}:2:11: 'soon' is no budget" in done.stderr


def test_everything_that_can_be_said_is_read(tmp_path: Path) -> None:
    found, problems = read(GOOD, tmp_path)
    assert problems == []
    assert found.public_url == "https://cds.example.org"
    assert found.issuers == (Issuer("https://ehr.example.org", tmp_path / "ehr.json", "", ("a",)),)
    assert [server.plain_http for server in found.fhir_servers] == [False, True]
    assert (found.budget_ms, found.max_bytes, found.rate) == (250, 2 * 1024 * 1024, Rate(50, 1))
    assert found.origins == ("*",)


@pytest.mark.parametrize(("line", "expected"), BAD)
def test_an_error_is_named_with_its_place(line: str, expected: str, tmp_path: Path) -> None:
    _, problems = read(f"service:\n{line}\n", tmp_path)
    assert any(expected in problem for problem in problems), problems
    assert all(problem.startswith("site.yaml:2:") for problem in problems)
