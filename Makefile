# Everything a fresh machine with Python 3.11+ and make needs: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
AWS_TESTS := tests/infrastructure tests/adapters/dynamodb tests/entrypoints/aws tests/lambdas

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-slow test-aws lint format model docs requirements package bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.run ## Seeded accounts, live payments and a phone on http://127.0.0.1:8000
	$(BIN)/cardwatch demo

serve: $(VENV)/.run ## Serve the API on http://127.0.0.1:8000
	$(BIN)/cardwatch serve

test: lint ## Style, types, architecture, and every test but the slow ones (under 10 minutes)
	$(BIN)/pytest -m "not slow"

test-slow: $(VENV)/.dev ## Browser, many crashes, whole builds
	$(BIN)/pytest -m slow --timeout 900 $(addprefix --ignore=,$(AWS_TESTS))

test-aws: $(VENV)/.dev ## Terraform applied to an emulator and looked over, packages, containers (needs terraform, npm)
	CARDWATCH_TEST_AWS=1 $(BIN)/pytest -m slow --timeout 1200 $(wildcard $(AWS_TESTS))

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

model: $(VENV)/.dev ## Rebuild the model that ships with the package, and its report
	$(BIN)/python -m cardwatch.learning.build_default_model
	$(BIN)/python tools/model_report.py

docs: $(VENV)/.dev ## Rewrite the generated reference pages
	$(BIN)/python tools/reference.py

requirements: $(VENV)/.dev ## Pin every dependency with its hashes
	$(BIN)/python tools/pin_requirements.py

package: $(VENV)/.dev ## Build the packages of the Lambda functions into dist (ARCHITECTURE=arm64 for Graviton)
	$(BIN)/python tools/package_lambdas.py --architecture $(or $(ARCHITECTURE),x86_64)

bench: $(VENV)/.dev ## Measure the server on this machine (needs wrk)
	$(BIN)/python bench/http.py

clean: ## Remove the environment and caches; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cardwatch needs Python 3.11 or newer; say which with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
