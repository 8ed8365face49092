# Two commands: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.made
# The first Python that runs and is new enough; a name on PATH alone proves nothing (version managers put shims there).
BASE_PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
HEADLESS ?=
STRICT ?=
TESTS ?= tests
# So many processes share the tests; 0 is this one alone. tests/conftest.py says what stays together.
WORKERS ?= 2

# Whatever the shell says: without compiled modules every start of a process compiles its libraries anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 22

$(STAMP): pyproject.toml constraints.txt
	@echo "Making the environment in $(VENV) (the first time takes a minute or two) …"
	@test -n "$(BASE_PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found. Install one, or name it: make BASE_PYTHON=…"; exit 1; }
	@test -x $(PYTHON) || $(BASE_PYTHON) -m venv $(VENV)
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip >/dev/null
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet --compile-bytecode --constraint constraints.txt --editable '.[lab,dev]'
	@touch $@

environment: $(STAMP) ## make the Python environment in .venv

include kernel_ext/labextension/labextension.mk
include tests/control_plane/control-plane.mk
include tests/real_node/real-node.mk
include tests/scoreboard/scoreboard.mk
labextension control-plane real-node scoreboard k8sgpt: $(STAMP)

demo: $(STAMP) ## the flagship incident in JupyterLab; HEADLESS=1 plays it in text
ifeq ($(HEADLESS),)
	@$(MAKE) --no-print-directory labextension
	@$(VENV)/bin/skyflo-runbooks demo
else
	@$(VENV)/bin/skyflo-runbooks demo --headless
endif

test: $(STAMP) ## style, types, layers and tests; STRICT=1: a test that cannot run fails
	@$(MAKE) --no-print-directory labextension
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy
	STRICT=$(STRICT) $(VENV)/bin/pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder $(TESTS)

bench: $(STAMP) ## measure, and print JSON
	@$(PYTHON) -m tests.benchmarks

PROPOSALS ?= 10000
KILLS ?= 1000
SEED ?= 1
reliability: $(STAMP) ## a day of load with kills (PROPOSALS, KILLS, SEED), and what came of it as JSON
	@$(PYTHON) -m tests.reliability --proposals $(PROPOSALS) --kills $(KILLS) --seed $(SEED) --expires 180

tools-doc: $(STAMP) ## write docs/tools.md from what the servers offer
	@$(VENV)/bin/skyflo-runbooks tools --page > docs/tools.md.new && mv docs/tools.md.new docs/tools.md

runbooks: $(STAMP) ## write the curated runbooks and docs/runbooks.md from their source
	@$(PYTHON) -m skyflo_runbooks.planning.curated runbooks
	@$(VENV)/bin/skyflo-runbooks runbooks --page > docs/runbooks.md.new && mv docs/runbooks.md.new docs/runbooks.md

faults-doc: $(STAMP) ## write docs/faults.md from the rules and their repairs
	@$(VENV)/bin/skyflo-runbooks explain --page > docs/faults.md.new && mv docs/faults.md.new docs/faults.md

constraints: ## resolve the versions anew
	uv pip compile --quiet --python-version 3.11 pyproject.toml --extra lab --extra dev --output-file constraints.txt \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links

clean: ## remove what was made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis kernel_ext/skyflo_kernel/labextension

.PHONY: help environment demo test bench reliability tools-doc faults-doc runbooks constraints clean
