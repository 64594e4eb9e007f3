# `make demo` and `make test` need nothing but Python 3.11+, make and a C compiler.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
BUILT_FROM := pyproject.toml setup.py scripts/make_environment $(wildcard src/rivet/wire/*.py src/rivet/wire/*.pxd)
CODE := src tests scripts bench
# Tests in parallel; PYTEST_ARGS="-x -k name" narrows a run.
# Three for two cores: tests wait for servers half of their time.
WORKERS ?= 3
PYTEST_ARGS ?=

.PHONY: help demo test lint format types types-report layers docs picture bench fuzz soak lock services clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The test environment holds the demo's; the demo alone is quicker to make.
DEMO_ENVIRONMENT := $(if $(wildcard .venv/made-from-dev.lock),.venv/made-from-dev.lock,.venv/made-from-demo.lock)

.venv/made-from-%.lock: requirements/%.lock $(BUILT_FROM)
	@scripts/make_environment $<
	@touch $@

demo: $(DEMO_ENVIRONMENT) ## Export a generated shop database and check the files
	@$(BIN)/rivet demo

test: .venv/made-from-dev.lock services lint types layers ## Lint, types, layers and every test
	$(BIN)/python -m pytest -n $(WORKERS) -m "not soak" $(PYTEST_ARGS)

lint: .venv/made-from-dev.lock ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/made-from-dev.lock ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/made-from-dev.lock ## Check types, strictly
	$(BIN)/mypy

layers: .venv/made-from-dev.lock ## Check who imports whom
	$(BIN)/lint-imports --no-cache

docs: .venv/made-from-dev.lock ## Write the generated reference pages anew
	$(BIN)/python scripts/render_docs.py

picture: .venv/made-from-dev.lock ## Make the README's picture from a real run
	$(BIN)/python scripts/render_picture.py

types-report: .venv/made-from-dev.lock services ## Write down which type cases pass, and the pages
	RIVET_TEST_REQUIRE=postgresql,mysql,mysql9,kernel $(BIN)/python -m pytest -q -n $(WORKERS) \
		tests/conformance/test_types.py --types-report
	$(BIN)/python scripts/render_docs.py

bench: .venv/made-from-dev.lock ## Measure against the wire and the peers (long)
	$(BIN)/python -m bench

fuzz: .venv/made-from-dev.lock services ## Feed the decoders and every engine at random (long)
	$(BIN)/python -m pytest tests/fuzz -n $(WORKERS) -m "soak or not soak" --timeout 7200 $(PYTEST_ARGS)

soak: .venv/made-from-dev.lock services ## Run the long tests
	$(BIN)/python -m pytest -m soak --timeout 7200 $(PYTEST_ARGS)

lock: .venv/made-from-dev.lock ## Write the lock files anew
	@scripts/lock

services: ## Install PostgreSQL, MariaDB and PgBouncer where they are missing, fetch MySQL and stores
	@scripts/install_services
	@scripts/install_mysql
	@scripts/install_stores

clean: ## Remove the environment and everything built
	rm -rf .venv build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf src/*.egg-info src/rivet/wire/*.c src/rivet/wire/*.so
	find src tests scripts bench -name __pycache__ -prune -exec rm -rf {} +
