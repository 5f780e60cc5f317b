# Every target prepares `.venv` by itself, so each works as the first command typed in a fresh clone.
# The package install is the only step that uses the network.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# How many processes run tests: a number, or auto for one a core (tests/conftest.py counts them).
WORKERS ?= auto
# How many inputs test-properties generates for each property; costly ones get a part of them.
CASES ?= 2000

.DEFAULT_GOAL := help
.PHONY: help install demo leaderboard test test-all coverage fuzz mutation test-properties matrix licences audit lint format docs gallery clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 17

install: $(STAMP)  ## Prepare .venv with the pinned versions

# The stamp is written last: an install that was cut off is repeated.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt pip setuptools
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[all,bench,dev]'
	touch $@

demo: $(STAMP)  ## Score a real labelled series in three ways; a picture in demo-output/
	$(RUN) benchmarks/demo.py

leaderboard: $(STAMP)  ## Compare all fast detectors on six small series; a report in leaderboard-output/
	$(VENV)/bin/vetime leaderboard run embedded --jobs 2 --out leaderboard-output || test $$? -eq 3  # 3: some cells failed
	$(VENV)/bin/vetime leaderboard report leaderboard-output --out leaderboard-output/report.html

# A worker takes over half of what another has left, so that none ends early.
PYTEST := $(RUN) -m pytest --numprocesses $(WORKERS) --dist worksteal

test: $(STAMP)  ## Run the tests that take less than a minute each, on all cores
	$(PYTEST) -m 'not slow'

test-all: $(STAMP)  ## Run all tests
	$(PYTEST)

coverage: $(STAMP)  ## Run the tests of `make test` and tell which lines and branches they miss; 95 % must be met
	$(PYTEST) -m 'not slow' --cov --cov-report=term

# A fuzzer of one target (table, configuration, weights, stream), guided by coverage; it needs CPython 3.11 to 3.13.
TARGET ?= table
RUNS ?= 100000
fuzz: $(STAMP)  ## Fuzz the reader TARGET with RUNS inputs; what breaks it lands in fuzz/TARGET
	$(RUN) -m pip install --quiet atheris
	mkdir -p fuzz/$(TARGET)
	cd fuzz/$(TARGET) && PYTHONPATH=$(CURDIR) $(abspath $(RUN)) -m tests.fuzz $(TARGET) corpus -runs=$(RUNS) -max_len=1024

# Changes of the code that the tests should notice, MUTANTS drawn from each part.
MUTANTS ?= 100
mutation: $(STAMP)  ## Change MUTANTS places of metrics, retrieval and series, and tell which changes the tests do not notice
	$(RUN) -m pip install --quiet cosmic-ray
	$(RUN) tests/mutation.py --mutants $(MUTANTS)

test-properties: $(STAMP)  ## Try CASES generated inputs of each property, others in every run
	VETIME_PROPERTY_CASES=$(CASES) $(RUN) -m pytest tests/properties

# ONLY is an expression of nox: `make matrix ONLY='highest and not merlion'`.
matrix:  ## Test every adapter alone at its lowest and highest versions, in environments of its own
	$(PYTHON) -m venv $(VENV)-nox
	$(VENV)-nox/bin/python -m pip install --quiet nox
	$(VENV)-nox/bin/nox -f tests/noxfile.py --force-python $(notdir $(PYTHON)) $(if $(ONLY),-k "$(ONLY)")

licences: $(STAMP)  ## List the licence of every package that an extra brings, and check it
	$(RUN) tests/check_licences.py

# The pinned versions, each looked up in the database of known vulnerabilities; this needs the network.
audit: $(STAMP)  ## Look the pinned versions up in the database of known vulnerabilities
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet pip-audit
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

lint: $(STAMP)  ## Check style and types
	$(RUN) -m ruff check
	$(RUN) tests/check_types.py

format: $(STAMP)  ## Apply the style that lint checks
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

docs: $(STAMP)  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

gallery: $(STAMP)  ## Run the scripts of the gallery, and write their pages and pictures anew
	$(RUN) docs/make_gallery.py

clean:  ## Remove what the targets made, .venv included
	rm -rf $(VENV) $(VENV)-nox $(VENV)-audit build dist site fuzz demo-output leaderboard-output *.egg-info .pytest_cache .mypy_cache .ruff_cache
