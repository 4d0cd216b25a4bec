# The front door. `make help` explains itself; people script against the targets, so they stay (docs/adr).
.DEFAULT_GOAL := help
SHELL := /bin/bash
# The first Python that is new enough; `make PYTHON=… setup` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
MAIN := .venv/bin
LANE := .venv-lane/bin
SOURCES := $(wildcard libs/*/src services/*/src)
empty :=
SOURCE_PATH := $(subst $(empty) $(empty),:,$(SOURCES))
ARGS ?=
ONLY ?= submit dispatch

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## Both environments, as requirements.lock says; instant when nothing changed
	@[ -n "$(PYTHON)" ] || { echo "Warmlane needs Python 3.11 or newer; found $$(python3 --version 2>&1)" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py

.PHONY: demo
demo: setup console ## Two real clips from a fresh clone, written to out/
	@$(MAIN)/python -m warmlane_devstack.demo $(ARGS)

.PHONY: up
up: setup console ## The whole stack on this machine; Ctrl-C stops it (ARGS="--detach --port 8700 …")
	@$(MAIN)/warmlane up $(ARGS)

.PHONY: down
down: setup ## Stop what `make up` started
	@$(MAIN)/warmlane down $(ARGS)

.PHONY: console
console: ## The web console's files, built from services/gateway/web; instant when nothing changed
	@$(PYTHON) scripts/console.py --lenient

.PHONY: screenshots
screenshots: setup console ## The console's pages, light, dark and on a phone, into docs/images
	@$(MAIN)/python scripts/screenshots.py $(ARGS)

.PHONY: test
test: setup ## Every test but the fault suites, in both environments and the console's (ARGS go to pytest)
	@$(PYTHON) scripts/console.py --lenient $(if $(ARGS),,--test)
	@$(MAIN)/python -m warmlane_testkit.browser
	@$(MAIN)/python scripts/run_tests.py $(ARGS)

.PHONY: test-fault
test-fault: setup ## Kill, partition, disk-full and restart suites
	@$(MAIN)/python scripts/run_tests.py --fault $(ARGS)

.PHONY: gpu-check
gpu-check: ## The GPU suite, in .venv-lane or in any Python with torch (GPU_PYTHON=…); skips without CUDA
	@$(PYTHON) scripts/run_tests.py --gpu $(ARGS)

.PHONY: lint
lint: setup ## ruff, mypy, import-linter
	$(MAIN)/ruff check .
	$(MAIN)/ruff format --check .
	$(MAIN)/mypy $(SOURCES) scripts
	PYTHONPATH=$(SOURCE_PATH) $(MAIN)/lint-imports

.PHONY: format
format: setup ## Format, and fix what can be fixed safely
	$(MAIN)/ruff format .
	$(MAIN)/ruff check --fix .

.PHONY: generate
generate: setup ## Regenerate the committed specifications
	$(MAIN)/python -m warmlane_contracts.export write .
	$(MAIN)/python -m warmlane_gateway openapi > docs/api/openapi.json

.PHONY: verify
verify: setup ## The committed specifications equal the regenerated ones
	$(MAIN)/python -m warmlane_contracts.export verify .
	@$(MAIN)/python -m warmlane_gateway openapi | cmp -s - docs/api/openapi.json || { echo "docs/api/openapi.json is stale: run 'make generate' and commit the result." >&2; exit 1; }

.PHONY: bench
bench: setup ## Benchmarks, or one (ONLY=submit); each writes bench/results/<name>.json
	@for name in $(ONLY); do $(MAIN)/python bench/$$name.py $(ARGS) || exit 1; done

.PHONY: lock
lock: ## Resolve every dependency anew into requirements.lock
	@$(PYTHON) scripts/bootstrap.py --lock
