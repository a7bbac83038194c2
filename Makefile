# Hotspot monitor. `make` alone lists what can be done.
# Everything is set up into .venv in this folder by the first target that needs it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# Only `make demo SECONDS=45` sets a time; bash keeps a variable of that name, which may stand in the environment.
ifneq ($(origin SECONDS),command line)
SECONDS :=
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test simulate long lint format kafka check-debian browser bench honest faults clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed $(VENV)/.compiled $(VENV)/.prepared  ## install into .venv, compile the kernels, fetch the broker

demo: setup  ## watch incidents stream in and clusters come out: make demo SECONDS=45 ARGS="--seed 2"
	@$(BIN)/hotspots demo $(addprefix --seconds ,$(SECONDS)) $(ARGS)

test: setup  ## run every test that needs nothing but pip: make test ARGS="-k window"
	$(BIN)/pytest -n 3 --dist worksteal $(ARGS)

simulate: setup  ## simulate days of faults, the first that fails ends it: make simulate SEEDS=1000, make simulate SEED=7
	@$(BIN)/python -m tests.simulation $(addprefix --seeds ,$(SEEDS)) $(addprefix --seed ,$(SEED)) $(ARGS)

long: setup  ## run the tests that take many minutes
	$(BIN)/pytest -m long $(ARGS)

lint: $(VENV)/.installed  ## check style and types (a test checks the direction of imports)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed  ## lay the code out as `make lint` wants it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

kafka: setup  ## start a broker and a Redis for development, and print their addresses
	@$(BIN)/hotspots services $(ARGS)

check-debian: setup  ## run the tests that need Debian's prometheus and redis
	@for tool in promtool redis-cli redis-server; do \
	  command -v $$tool > /dev/null || \
	  { echo "$$tool is missing: apt-get install --no-install-recommends prometheus redis-server" >&2; exit 1; }; \
	done
	$(BIN)/pytest -m debian $(ARGS)

browser: setup  ## drive the console with Debian's chromium: make browser ARGS=--screenshots
	@command -v chromium > /dev/null || \
	  { echo "chromium is missing: apt-get install --no-install-recommends chromium" >&2; exit 1; }
	$(BIN)/pytest tests/browser -m browser $(ARGS)

bench: setup  ## measure: one file of benchmarks/ after the other
	@set -e; for file in benchmarks/[!_]*.py; do case $$file in */honest.py|*/promise.py|*/soak.py|*/year.py) continue;; esac; \
	  echo "== $$file"; $(BIN)/python $$file $(ARGS); done

honest: setup  ## is the promised rate of false alerts kept? Five cities, about an hour: make honest ARGS="--seeds 1"
	@$(BIN)/python benchmarks/honest.py $(ARGS)

faults: setup  ## inflict every fault on real servers, and write docs/reliability.md: make faults ARGS="--only redis"
	@$(BIN)/python -m benchmarks.faults $(ARGS)

clean:  ## remove what the targets above have made, .venv included
	rm -rf $(VENV) .cache dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find detectors streams tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps below make the second run fast: each step is done again only when what it rests on has changed.
# --no-compile: most modules of the dependencies are never imported, the others are compiled when they are.

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
	  { echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: name one, as in make setup PYTHON=python3.11" >&2; exit 1; }
	@echo "Installing the pinned dependencies into $(VENV) (about a minute the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt hatchling
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt \
	  --no-build-isolation --editable '.[embedded,console,dev]'
	@touch $@

$(VENV)/.compiled: $(VENV)/.installed $(wildcard detectors/kernels/*.py)
	@rm -f detectors/kernels/__pycache__/*.nb?
	@$(BIN)/hotspots compile
	@touch $@

$(VENV)/.prepared: $(VENV)/.installed
	@$(BIN)/hotspots services --prepare
	@touch $@
