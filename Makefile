# Everything a person types. `make demo` and `make test` set themselves up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help

.PHONY: help setup demo test lint types chaos bench docs format lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv from the lock file (once; again when the lock changes)

# --no-build-isolation: hatchling is in the lock, so the editable install asks no registry.
# --quiet twice: pip's warnings are about the machine's own pip settings; errors still show.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "closingbell needs Python 3.11 or newer, and '$(PYTHON)' is not: name one with 'make setup PYTHON=python3.12'." >&2; \
	  exit 1; }
	@echo "Making $(VENV) from requirements/dev.txt; about half a minute."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --quiet --require-hashes --requirement requirements/dev.txt
	$(PIP) install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: setup ## Run a trading desk's day on one SQLite file
	$(BIN)/closingbell demo

test: setup ## Run every test that needs no external server
	$(BIN)/python scripts/run_tests.py

lint: setup ## Check style, imports between rooms, and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_house.py

types: setup ## Check types with mypy, strictly
	$(BIN)/mypy

chaos: setup ## Kill workers at random, many times, and count what is lost
	$(BIN)/python -m pytest -m chaos_full --timeout 3600

bench: setup ## Measure the engine
	$(BIN)/python bench/run.py

docs: setup ## Run every example in the docs
	$(BIN)/python -m pytest tests/docs

format: setup ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The locks hold versions and hashes, and no address. uv reads the registry that pip is set up for.
lock: ## Make the lock files again from pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check install --quiet uv
	.venv-lock/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --output-file requirements/dev.txt --group dev
	.venv-lock/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --constraints requirements/dev.txt --output-file requirements/runtime.txt
	echo hatchling | .venv-lock/bin/uv pip compile - --quiet --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --constraints requirements/dev.txt --output-file requirements/build.txt
	rm -rf .venv-lock
	@if grep -n '://' requirements/dev.txt requirements/runtime.txt requirements/build.txt; then \
	  echo "a lock file names an address: see the lines above" >&2; exit 1; fi

clean: ## Remove everything that make made
	rm -rf $(VENV) .venv-lock build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests scripts bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
