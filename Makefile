# One command runs every check, and continuous integration runs exactly that: `make test`.
# Python is the first of these that is there and recent enough. 3.12 and 3.11 come before 3.13, since
# the second engine (durable-rules) cannot be imported there. Choose another with PYTHON=...
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-all system check bench

help: ## show this list
	@echo "make demo      judge the example patients and print their cards"
	@echo "make test      every check and every test that this machine can run"
	@echo "make test-all  the same, after installing what tests need from the system"
	@echo "make check     format, style, types, architecture and rules; no tests"
	@echo "make bench     the benchmarks, as ratios taken in one run"

demo: $(STAMP)
	@$(BIN)/cds check fhir_examples --as-of 2026-06-10T10:00:00-04:00 --timezone America/New_York

test: check
	$(BIN)/pytest -n auto -rs

# ONLY limits it: ONLY="-m system" runs just the tests that need a system package.
test-all: system check
	$(BIN)/pytest -n auto -rs $(ONLY)

# What tests need beside Python, by the names of Debian's packages; and PySpark, 500 MB.
system: $(STAMP)
	@$(BIN)/python -c 'import pyspark' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[spark]'
	@set -e; needed=; \
	[ -n "$$JAVA_HOME" ] || command -v java >/dev/null 2>&1 \
		|| needed="$$needed default-jre-headless"; \
	command -v chromium >/dev/null 2>&1 || needed="$$needed chromium"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 \
		|| needed="$$needed postgresql"; \
	[ -n "$$needed" ] || exit 0; \
	echo "Installing Debian's$$needed for the tests of pages, of the store and of Spark"; \
	export DEBIAN_FRONTEND=noninteractive; \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $$needed >/dev/null; } || { \
		echo "Not installed:$$needed: needed, and 'apt-get install$$needed' (as root) failed." >&2; exit 1; }

check: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cds lint
	$(BIN)/cds fmt --check

bench: $(STAMP)
	@found=; for script in benchmarks/*.py; do \
		[ -e "$$script" ] || continue; found=yes; echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done; [ "$$found" ] || echo "There are no benchmarks yet."

$(STAMP): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later is needed: none of python3.12, python3.11," \
		"python3.13, python3 is one. Say which with PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON) (once, and whenever pyproject.toml changes)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' || { \
		echo "Not installed. Below Python 3.13 durable-rules is built with a C compiler and Python's" \
			"headers; PYTHON=python3.13 does without." >&2; exit 1; }
	@touch $@
