"""What a site says of its service is read with its defaults, or every error is named with its place."""

from __future__ import annotations

from ipaddress import ip_network
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
    - {iss: b, jku: "http://127.0.0.1:9/keys", plain-http: yes, networks: [127.0.0.0/8]}
  fhir-servers:
    - {origin: https://fhir.example.org, networks: [10.0.0.0/8]}
    - {origin: "http://127.0.0.1:9", plain-http: yes, networks: [127.0.0.0/8]}
  budget: 0.25 s
  largest-body: 2 MiB
  rate: 50 per second
  store: sqlite:///feedback.db
  workers: 4
  notice: 2 s
  grace: 0.5 minutes
  proxies: [10.0.0.5, 10.1.0.0/16]
  open: [health]
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
    ("  issuers: [{iss: a, jku: http://a.example/keys}]\n  public-url: https://a.example", "'http://a.example/keys' is not https; accepted: https, or plain-http: yes"),
    ("  issuers: [{iss: a, jku: keys}]\n  public-url: https://a.example", "'keys' is no address"),
    ("  issuers: [{iss: a, keys: k}, {iss: a, keys: l}]\n  public-url: https://a.example", "the issuer 'a' stands twice; accepted: one entry with all of its keys"),
    ("  issuers: [{iss: a, keys: k, networks: [x]}]\n  public-url: https://a.example", "'x' is no network"),
    ("  issuers: [{iss: a, key: k}]\n  public-url: https://a.example", "'key' is no key of an issuer"),
    ("  open: [health, docs]", "'docs' is no page; accepted: health, metrics, page"),
    ("  proxies: [here]", "'here' is no network"),
    ("  issuers: [{iss: a}]\n  public-url: https://a.example", "an issuer without keys"),
    ("  issuers: [{iss: a, keys: k}]", "'public-url' is missing"),
    ("  workers: 0", "'0' is no number of workers; accepted: a whole number from 1 to 64"),
    ("  workers: 65", "'65' is no number of workers"),
    ("  workers: two", "'two' is no number of workers"),
    ("  grace: 10", "'10' is no grace; accepted: a number above 0 with one of ms, s"),
    ("  notice: 0 s", "'0 s' is no notice"),
    ("  public-url: https://a.example:99999", "'https://a.example:99999' is no address"),
    ("  public-url: https://[a", "'https://[a' is no address"),
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
    local = (ip_network("127.0.0.0/8"),)
    assert found.issuers == (
        Issuer("https://ehr.example.org", tmp_path / "ehr.json", "", ("a",)),
        Issuer("b", None, "http://127.0.0.1:9/keys", (), local, plain_http=True),
    )
    assert found.open_pages == ("health",)
    assert found.proxies == (ip_network("10.0.0.5"), ip_network("10.1.0.0/16"))
    assert [server.plain_http for server in found.fhir_servers] == [False, True]
    assert (found.budget_ms, found.max_bytes, found.rate) == (250, 2 * 1024 * 1024, Rate(50, 1))
    assert found.origins == ("*",)
    assert (found.workers, found.notice_ms, found.grace_ms) == (4, 2_000, 30_000)


@pytest.mark.parametrize(("line", "expected"), BAD)
def test_an_error_is_named_with_its_place(line: str, expected: str, tmp_path: Path) -> None:
    _, problems = read(f"service:\n{line}\n", tmp_path)
    assert any(expected in problem for problem in problems), problems
    assert all(problem.startswith("site.yaml:2:") for problem in problems)


def test_health_and_metrics_are_open_unless_something_is_said(tmp_path: Path) -> None:
    assert read("service:\n  budget: 1 s\n", tmp_path)[0].open_pages == ("health", "metrics")
    assert read("service:\n  open: []\n", tmp_path) == (Settings(open_pages=()), [])
