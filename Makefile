# What people and CI run. Stamp files in .venv remember what is done, so a second
# `make run` starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The versions that were tested together, also for the package's own requirements.
CONSTRAINTS := variants/cpu/constraints.txt
DATA := manifest.yaml $(wildcard variants/*/variant.yaml variants/*/constraints.txt)

PACKAGE_DONE := $(VENV)/.package-done
# With the variant in its name: asking for another one installs that one.
ENGINE_DONE := $(VENV)/.engine-done$(addprefix -,$(VLLM_PKG_VARIANT))
DEV_DONE := $(VENV)/.dev-done

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast check fmt lint type options torture guarantees screenshots \
  rootfs-test clean

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' \
	  $(MAKEFILE_LIST)

setup: $(ENGINE_DONE) $(DEV_DONE)  ## Install the package, the engine and the tools

run: $(ENGINE_DONE)  ## Serve a model here: MODEL=... HOST=... PORT=... ARGS=...
	@exec env $(if $(HOST),VLLM_PKG_HOST='$(HOST)') \
	  $(if $(PORT),VLLM_PKG_PORT='$(PORT)') \
	  $(BIN)/vllm-pkg run $(if $(MODEL),--model '$(MODEL)') $(ARGS)

test: check $(ENGINE_DONE)  ## All checks and all tests, with vLLM itself, and coverage
	@scripts/run-tests

test-fast: $(DEV_DONE)  ## The tests that need neither vLLM nor root
	@$(BIN)/python -m pytest tests/unit tests/contract -m "not engine and not rootfs"

check: lint type  ## Everything but the tests

fmt: $(DEV_DONE)  ## Format the code and repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: $(DEV_DONE)  ## Check style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: $(DEV_DONE)  ## Check types
	$(BIN)/mypy

options: $(ENGINE_DONE)  ## Write the table of options anew, out of the installed vLLM
	@$(BIN)/python tests/support/serve_parser.py src/vllm_pkg/engine/options.json

torture: $(ENGINE_DONE) $(DEV_DONE)  ## The long form of the guarantees: hours; PART=FILE: one file
	@scripts/torture $(PART)
	@PYTHONPATH=tests $(BIN)/python -m support.guarantees.page docs

screenshots: $(DEV_DONE)  ## Take the pictures of the portal (needs Chromium)
	@PYTHONPATH=tests $(BIN)/python -m support.screenshots docs/screenshots

guarantees: $(ENGINE_DONE) $(DEV_DONE)  ## Try the guarantees, and write docs/guarantees.md
	@$(BIN)/python -m pytest tests --only-guarantees --guarantees=docs/guarantees/quick.json \
	  --numprocesses=2 --dist=loadfile --no-loadscope-reorder
	@PYTHONPATH=tests $(BIN)/python -m support.guarantees.page docs

rootfs-test:  ## Run and test in a fresh Debian (root, debootstrap); FAST=1: less
	scripts/fresh-machine

clean:  ## Remove the environment and everything that was built
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .import_linter_cache \
	  .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@scripts/check-python $(PYTHON)
	@$(PYTHON) -m venv $(VENV)

# pip 25.1 is the first that knows dependency groups.
$(PACKAGE_DONE): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing the package"
	@$(BIN)/python -m pip install -qq --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install -qq --editable ".[host]" -c $(CONSTRAINTS)
	@touch $@

$(ENGINE_DONE): $(PACKAGE_DONE) $(DATA)
	@$(BIN)/python -m vllm_pkg.hosts.bare_metal.install
	@touch $@

$(DEV_DONE): $(PACKAGE_DONE)
	@echo "Installing the tools for development"
	@$(BIN)/python -m pip install -qq --group dev -c $(CONSTRAINTS)
	@touch $@
