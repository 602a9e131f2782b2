# TaskRunner: everything from a fresh clone, with python3 (3.11 to 3.14) and make alone.
#
# Three virtual environments, because SAM, the emulator and moto cannot agree on versions. A stamp in each says which
# pins it holds, so a target that needs one makes it when it is missing or its pins have changed.
PYTHON ?= python3
EVENT ?=
SECONDS ?= 600
FUNCTION ?=

bin := .venv/bin
sam := .local/venvs/sam/bin/sam
layer := layers/core/python
pins := $(layer)/requirements
stamps := .venv/.installed .local/venvs/emulator/.pins .local/venvs/sam/.pins
runtime = python$(shell $(bin)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# SAM and boto3 want a Region even where nothing is called, and SAM would report each call home.
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY = 0

.DEFAULT_GOAL := help
.PHONY: help setup lock up down check test unit fuzz demo invoke clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -------------------------------------------------------------------------------------------------- environments

setup: $(stamps) ## Make the three virtual environments

.venv/.installed: .venv/.pins pyproject.toml
	@$(bin)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.pins: requirements/dev.txt
	$(call virtual_environment,.venv,requirements/dev.txt)
	@touch $@

.local/venvs/%/.pins: requirements/%.txt
	$(call virtual_environment,.local/venvs/$*,requirements/$*.txt)
	@touch $@

# $(1) the folder, $(2) the pins. --clear: a half-made environment, or one of another Python, is no start.
define virtual_environment
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 14) or sys.exit( \
		"$(PYTHON) is Python %d.%d, but 3.11 to 3.14 is needed: make PYTHON=python3.13 ..." % v)'
	@echo "making $(1) with the pins of $(2)"
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $(2)
endef

lock: .venv/.installed ## Resolve the pinned requirements anew
	$(call compile,$(pins).in,$(pins).txt)
	$(call compile,requirements/dev.in,requirements/dev.txt)
	$(call compile,requirements/emulator.in,requirements/emulator.txt)
	$(call compile,requirements/sam.in,requirements/sam.txt)

# One set of pins for all Pythons and platforms, with no address of an index in it.
define compile
	$(bin)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url $(1) --output-file $(2)
endef

# --------------------------------------------------------------------------------------------------- local stack

up: $(stamps) ## Start the local stack, or bring it up to date (TASKRUNNER_PORT chooses the port)
	@$(bin)/taskrunner local up

down: .venv/.installed ## End the local stack
	@$(bin)/taskrunner local down

demo: $(stamps) ## Run both example packs on the local stack and show what happens
	@$(bin)/taskrunner demo

invoke: up ## Run one function in Docker against the local stack: FUNCTION=ReadRunFunction EVENT=events/...
	@test -n "$(FUNCTION)" -a -n "$(EVENT)" || { echo "usage: make invoke FUNCTION=ReadRunFunction EVENT=events/..."; exit 2; }
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test $(bin)/python -m taskrunner_cli.local.relay \
		$(sam) local invoke $(FUNCTION) --event $(EVENT) --env-vars .local/invoke.json \
		--add-host host.docker.internal:host-gateway --skip-pull-image \
		--parameter-overrides Runtime=$(runtime) AwsEndpointUrl=set-by-env-vars

# --------------------------------------------------------------------------------------------------------- checks

check: $(stamps) ## Check style, types, imports, template and state machines
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/cfn-lint template.yaml
	$(sam) validate --lint
	$(bin)/statelint --yaml --ignore=FLOAT statemachine/*.asl.yaml

unit: $(stamps) ## Run the tests that need no local stack
	$(bin)/pytest -m "not stack"

test: check ## Run every check and every test; the local stack is started when it is not up
	$(bin)/pytest

fuzz: .venv/.installed ## Fuzz the compiler for SECONDS (600) a target; what it finds is left in .local/fuzz
	$(bin)/python -m tests.security.fuzz.run expression $(SECONDS)
	$(bin)/python -m tests.security.fuzz.run schema $(SECONDS)
	$(bin)/python -m tests.security.fuzz.run pack $(SECONDS)

# ---------------------------------------------------------------------------------------------------------- tidy

clean: ## End the local stack and remove everything that was made here
	@test ! -x $(bin)/taskrunner || $(bin)/taskrunner local down
	rm -rf .venv .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
