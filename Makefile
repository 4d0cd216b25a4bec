# The front door. `make help` explains itself; a target that people script against stays (see docs/adr).
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
MAIN := .venv/bin
LANE := .venv-lane/bin
SOURCES := $(wildcard libs/*/src services/*/src)
empty :=
SOURCE_PATH := $(subst $(empty) $(empty),:,$(SOURCES))

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: lint
lint: ## ruff, mypy, import-linter
	$(MAIN)/ruff check .
	$(MAIN)/ruff format --check .
	$(MAIN)/mypy $(SOURCES) scripts
	PYTHONPATH=$(SOURCE_PATH) $(MAIN)/lint-imports
