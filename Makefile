# TaskRunner from a fresh clone, with Python 3.11 to 3.14 and make.
#
# SAM, the emulator, the generator of clients and the tests need versions of the same packages that exclude each other,
# so each has a virtual environment of its own. The pins in an environment are copied into it as `.pins`: an environment
# is made again when it is missing, or when its pins or the scripts that trim it have changed.
PYTHON ?= python3
EVENT ?=
SECONDS ?= 600
FUNCTION ?=

bin := .venv/bin
sam := .local/venvs/sam/bin/sam
layer := layers/core/python
# The local stack runs in the first three; SAM is for checks, for `make invoke` and for AWS, generator and editor for tests.
stack_stamps := .venv/.installed .local/venvs/emulator/.pins .local/venvs/layer/.pins
stamps := $(stack_stamps) .local/venvs/sam/.pins .local/venvs/generator/.pins .local/venvs/docs/.pins .local/editor/.pins

# SAM and boto3 need a Region even where they call nothing; SAM would report every call to its makers.
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY = 0
# uv leaves it to the first import to compile a package. Where nothing may be written, every import would compile.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock up down check test unit faults explore fuzz bench demo docs invoke invoke-build clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -------------------------------------------------------------------------------------------------- environments

setup: ## Make the virtual environments
	$(call in_parallel,$(stamps))

in_parallel = @$(MAKE) --silent --no-print-directory --jobs=4 $(1)

.venv/.installed: .venv/.pins pyproject.toml
	$(call install,.venv,--no-build-isolation --editable .)
	@touch $@

.venv/.pins: requirements/dev.txt .venv/.created
	$(call install,.venv,--requirement $<)
	@cp $< $@

# This environment is made first, because the others are filled by its uv. Where there is no uv, its pip does the same.
# PYTHON's own pip fetches uv, if it has one; else the environment gets a pip for that, which takes four seconds.
.venv/.created: requirements/dev.txt requirements/uv.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 14) or sys.exit( \
		"$(PYTHON) is Python %d.%d, but 3.11 to 3.14 is needed: make PYTHON=python3.13 ..." % v)'
	@echo "making .venv"
	@$(PYTHON) -m venv --clear --without-pip .venv
	@$(call pip_install,$(PYTHON),.venv,--requirement requirements/uv.txt) 2>/dev/null \
		|| { $(with_pip) && $(call pip_install,$(bin)/python,.venv,--requirement requirements/uv.txt); } \
		|| echo "uv cannot be installed here; pip is used instead, which takes longer"
	@touch $@

# Functions get the packages that the layers have (see the layers' Makefile), so that the tests of the stack run those.
trims := $(layer)/trim_botocore.py $(layer)/trim_pydantic.py
.local/venvs/layer/.pins: $(layer)/requirements.txt $(trims) | .venv/.created
	$(call environment,.local/venvs/layer)
	@for trim in $(trims); do $(bin)/python $$trim .local/venvs/layer/lib/python*/site-packages || { rm $@; exit 1; }; done

.local/venvs/%/.pins: requirements/%.txt | .venv/.created
	$(call environment,.local/venvs/$*)

# The YAML language server of editors comes from npm, and Node.js as a Python package, because it needs a recent one.
.local/editor/.pins: requirements/editor/package-lock.json .local/venvs/node/.pins
	@echo "making .local/editor"
	@mkdir -p .local/editor && cp requirements/editor/package*.json .local/editor/
	@.local/venvs/node/bin/npm ci --prefix .local/editor --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null \
		|| { echo "error: npm cannot install the packages for .local/editor; see above." \
			"Check that this machine reaches an npm registry, or its mirror, and repeat the command." >&2; exit 1; }
	@cp $< $@

# $(1) the folder; the pins are the first prerequisite. --clear removes what an interrupted or older setup left.
define environment
	@echo "making $(1)"
	@$(bin)/python -m venv --clear --without-pip $(1)
	$(call install,$(1),--requirement $<)
	@cp $< $@
endef

# $(1) the environment, $(2) what to install. uv is asked for what its cache holds first, which needs no network. pip
# comes last: it may reach an index that uv cannot, because uv does not read pip's configuration.
define install
	@{ test -x $(bin)/uv && { $(call uv_install,$(1),--offline $(2)) 2>/dev/null || $(call uv_install,$(1),$(2)); }; } \
		|| { $(with_pip) && $(call pip_install,$(bin)/python,$(1),--no-deps $(2)); } \
		|| { rm -f .venv/.created; echo "error: neither uv nor pip can install the packages for $(1); see above." \
			"Check that this machine reaches a package index, or its mirror, and repeat the command." >&2; exit 1; }
endef

# $(1) a Python that has pip, $(2) the environment, $(3) what to install.
pip_install = $(1) -m pip --python $(2)/bin/python install --quiet --disable-pip-version-check $(3)
with_pip = { $(bin)/python -m pip --version >/dev/null 2>&1 || $(bin)/python -m ensurepip >/dev/null; }
uv_install = $(bin)/uv pip install --quiet --python $(1)/bin/python --no-deps $(2)

lock: .venv/.installed ## Resolve the pinned requirements again
	$(call compile,$(layer)/requirements.in,$(layer)/requirements.txt)
	$(call compile,requirements/uv.in,requirements/uv.txt)
	$(call compile,requirements/dev.in,requirements/dev.txt)
	$(call compile,requirements/emulator.in,requirements/emulator.txt)
	$(call compile,requirements/sam.in,requirements/sam.txt)
	$(call compile,requirements/generator.in,requirements/generator.txt)
	$(call compile,requirements/docs.in,requirements/docs.txt)
	$(call compile,requirements/node.in,requirements/node.txt)
	@$(MAKE) --silent .local/venvs/node/.pins
	.local/venvs/node/bin/npm update --prefix requirements/editor --package-lock-only --omit-lockfile-registry-resolved
	$(call compile,requirements/bench.in,requirements/bench.txt)

# One set of pins for all Pythons and platforms, with no address of an index in it.
define compile
	$(bin)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url $(1) --output-file $(2)
endef

# --------------------------------------------------------------------------------------------------- local stack

up: ## Start the local stack, or bring it up to date (TASKRUNNER_PORT chooses the port)
	$(call in_parallel,$(stack_stamps))
	@$(bin)/taskrunner local up

down: .venv/.installed ## End the local stack
	@$(bin)/taskrunner local down

demo: ## Run the example packs on the local stack and show what happens
	$(call in_parallel,$(stack_stamps))
	@$(bin)/taskrunner demo

invoke: up invoke-build ## Run one function in Docker against the local stack: FUNCTION=ReadRunFunction EVENT=events/...
	@test -n "$(FUNCTION)" -a -n "$(EVENT)" || { echo "usage: make invoke FUNCTION=ReadRunFunction EVENT=events/..."; exit 2; }
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test $(bin)/python -m taskrunner_cli.local.relay \
		$(sam) local invoke $(FUNCTION) --template-file $(sam_build)/build/template.yaml --event $(EVENT) \
		--env-vars .local/invoke.json --add-host host.docker.internal:host-gateway --skip-pull-image \
		--parameter-overrides $(sam_parameters) AwsEndpointUrl=set-by-env-vars

# SAM builds for this Python and processor in a folder of their own, so `sam build` for AWS and this do not meet. This
# folder's cache holds one Python only.
invoke-build: .local/venvs/sam/.pins
	@mkdir -p $(sam_build)
	@PATH="$(CURDIR)/$(bin):$$PATH" LAYER_PYTHON=$(python_version) LAYER_ARCHITECTURE=$(architecture) \
		$(sam) build --build-dir $(sam_build)/build --cached --cache-dir $(sam_build)/cache \
		--parameter-overrides $(sam_parameters) \
		>$(sam_build)/build.log 2>&1 </dev/null || { cat $(sam_build)/build.log >&2; exit 1; }

python_version = $(shell $(bin)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
architecture = $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
sam_build = .local/sam/python$(python_version)
sam_parameters = Runtime=python$(python_version) Architecture=$(architecture)

# --------------------------------------------------------------------------------------------------------- checks

# As many processes as there are processors, and $(1) more; four at most.
processes = $(shell $(bin)/python -c 'import os; print(min(4, (os.cpu_count() or 1) + $(1)))')

checks := $(addprefix check-,style scripts types imports template machines workflows)
.PHONY: $(checks)

check: $(stamps) ## Check style, scripts, types, imports, template, state machines and workflows
	$(call in_parallel,$(checks))

check-style:
	$(bin)/ruff check
	$(bin)/ruff format --check

# requirements/dev.in says where oxlint has no wheel; there `make setup` works without it.
check-scripts:
	if [ -x $(bin)/oxlint ]; then $(bin)/oxlint --deny-warnings functions; \
		else echo "the console's scripts are not checked: oxlint has no wheel for this platform"; fi

# One process would take longer than all other checks together.
check-types:
	$(bin)/mypy --num-workers=$(call processes,0)

check-imports:
	$(bin)/lint-imports

# One process for all templates, because its start takes a second of processor time. `sam validate --lint` would run the
# same release of cfn-lint over the same template once more.
check-template:
	$(bin)/cfn-lint template.yaml examples/events/webhook.yaml examples/worker/ecs.yaml

check-machines:
	$(bin)/statelint --yaml --ignore=FLOAT statemachine/*.asl.yaml

check-workflows:
	$(bin)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(bin)/zizmor --offline --no-progress --quiet .github
	$(bin)/pre-commit validate-config

# Two processes more than processors, because some tests wait. tests/conftest.py says which tests share a process.
pytest = $(bin)/pytest --numprocesses=$(call processes,2) --dist=loadfile --no-loadscope-reorder

unit: $(stamps) ## Run the tests of units and golden files, without the local stack
	$(pytest) tests/unit tests/golden

test: check ## Run every check and every test; the local stack is started when it is not up
	$(pytest)

explore: .venv/.installed ## Try the properties, except those of the local stack, with new examples in each run
	$(pytest) --hypothesis-profile=explore -m "hypothesis and not stack"

fuzz: .venv/.installed ## Fuzz the compiler for SECONDS (600) a target; what it finds is left in .local/fuzz
	$(bin)/python -m tests.security.fuzz.run expression $(SECONDS)
	$(bin)/python -m tests.security.fuzz.run schema $(SECONDS)
	$(bin)/python -m tests.security.fuzz.run pack $(SECONDS)

faults: .venv/.installed ## Break every call that a function makes of AWS, one at a time, and see each run come to its end
	$(bin)/python -m tests.faults.run
	TASKRUNNER_FAULT_EXAMPLES=300 $(bin)/pytest tests/faults/test_state_machine.py --quiet

bench: $(stack_stamps) .local/venvs/bench/.pins ## Measure planning, cold starts, layers and runs as ratios, in about ten minutes
	$(bin)/python -m bench.table

# ---------------------------------------------------------------------------------------------------------- pages

docs: .local/venvs/docs/.pins ## Build the pages of docs/ as a static site, in .local/site
	@.local/venvs/docs/bin/zensical build --strict --config-file mkdocs.yml
	@echo "open .local/site/index.html"

# ---------------------------------------------------------------------------------------------------------- tidy

clean: ## End the local stack and remove everything that was made here
	@test ! -x $(bin)/taskrunner || $(bin)/taskrunner local down
	rm -rf .venv .local .aws-sam build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
