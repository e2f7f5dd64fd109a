# Each target sets itself up from nothing: the virtual environment and what it needs are made once, then left alone.
PYTHON ?= python3
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
RUNTIME := .venv/.installed-runtime
DEV := .venv/.installed-dev
PARITY := .venv/.installed-parity
SCRIPTS := $(shell find workbench/web/static -name '*.js' 2>/dev/null)

.PHONY: app test check ruff lint bench notebooks setup help

help:
	@echo "make app        open the workbench in a browser (ARGS='--port 8000' passes flags on)"
	@echo "make test       all tests: Python, and JavaScript where node is installed"
	@echo "                (WORKERS=4 runs four files at a time, ARGS='-k kl' only some tests)"
	@echo "make check      formatting, lint and types, then the tests"
	@echo "make bench      measure, and print the tables of the README"
	@echo "make notebooks  build every notebook from its source and run it"
	@echo "make setup      only install; PYTHON=python3.12 chooses the interpreter"

setup: $(RUNTIME)

app: $(RUNTIME)
	$(BIN)/python app.py $(ARGS)

# the tests of the page run alone: with other work beside it a page is late
test: $(PARITY)
	@$(MAKE) --no-print-directory test-js
ifeq ($(ARGS),)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --ignore tests/web
	$(BIN)/python -m pytest tests/web
else
	$(BIN)/python -m pytest $(ARGS)
endif

# node --check lets mistakes in a module pass when it is given as a .js file, but not on standard input
.PHONY: test-js
test-js:
	@if command -v node >/dev/null; then \
	  for script in $(SCRIPTS); do \
	    node --input-type=module --check < $$script || { echo "$$script does not parse"; exit 1; }; \
	  done; \
	  node --test tests/web/js/*.mjs; \
	else \
	  echo "node is not installed, so the page's JavaScript was not tested (any version from 20 on will do)"; \
	fi

ruff: $(DEV)
	$(BIN)/ruff format --check
	$(BIN)/ruff check

lint: ruff
	$(BIN)/pyright

check: lint
	@$(MAKE) --no-print-directory test

bench: $(PARITY)
	$(BIN)/python -m benchmarks $(ARGS)

notebooks: $(DEV)
	$(BIN)/python -m notebooks.build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 names another"; exit 1; }
	$(PYTHON) -m venv --clear .venv || { rm -rf .venv; exit 1; }

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "installing the pinned packages into .venv: some minutes, once"
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

$(PARITY): requirements-parity.txt $(DEV)
	$(BIN)/python -m pip install --quiet --requirement requirements-parity.txt
	@touch $@
