# Works with GNU make, bash and Python 3.11 with venv on a bare Debian machine; everything else is installed under .venv/ and var/.
ifneq ($(lastword $(MAKEFILE_LIST)),Makefile)
# Called from another folder with -f: go home first.
HERE := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))
.PHONY: all $(MAKECMDGOALS)
all $(MAKECMDGOALS):
	@$(MAKE) --no-print-directory -C "$(HERE)" $(filter-out all,$@)
else

SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8000
HOST ?= 127.0.0.1
WORKERS ?= 2
PYTHON := .venv/bin/python
# A desk and its tests start many processes: each reads what the first one has compiled, also where containers are told not to keep it.
unexport PYTHONDONTWRITEBYTECODE
# What is installed carries its lock's name and hash, so that an unchanged lock costs nothing and a changed one is installed.
hash = $(shell sha256sum deploy/install.sh requirements/uv.txt requirements/$(1).txt | sha256sum | cut -c 1-16)
INSTALLED := .venv/.installed-dev-$(call hash,dev)
INSTALLED_BENCH := .venv/.installed-bench-$(call hash,bench)
UV := .venv/bin/python -m uv
LOCKS := uv base dev bench ray
# Tests that start all processes of a desk want both cores, and a browser that drives pages wants no other event loop beside it.
WHOLE_DESKS := tests/recovery tests/feeds tests/browser

.PHONY: help setup demo test screenshots check format bench soak lock timescaledb chromium stop clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Make .venv with the locked requirements; at once when nothing changed

demo: setup ## Start the desk on real data at http://127.0.0.1:8000 (PORT=8010 moves it); Ctrl-C stops it
	@$(PYTHON) manage.py desk --host $(HOST) --port $(PORT)

test: setup timescaledb chromium ## Run all tests, with real servers, TimescaleDB and a browser
	@$(PYTHON) -m pytest -n $(WORKERS) $(patsubst %,--ignore=%,$(WHOLE_DESKS)) $(ARGS)
	@$(PYTHON) -m pytest $(WHOLE_DESKS) $(ARGS)

screenshots: setup chromium ## Take the documentation's pictures again
	@DESK_SCREENSHOTS=docs $(PYTHON) -m pytest -q tests/browser/test_trading_day.py -k readme

check: setup ## Check style, types, architecture, migrations and the API schema
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy smarttrader apps
	.venv/bin/lint-imports
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) manage.py spectacular --validate --fail-on-warn --file /dev/null
	$(PYTHON) -m pytest -q tests/architecture

format: setup ## Format the code and mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: $(INSTALLED_BENCH) ## Measure speed against peers; writes benchmarks/results.md
	@$(PYTHON) -m benchmarks

soak: setup ## Kill processes of a desk for SOAK_SECONDS (300), and at SOAK_RUNS (3000) seeded points of an order's life, then compare all books
	@$(PYTHON) -m pytest -q -s -m soak

timescaledb: setup
	@deploy/timescaledb.sh var/timescaledb || [ "$${CI:-}" != true ]

chromium:
	@deploy/chromium.sh || [ "$${CI:-}" != true ]

stop: ## Stop private servers that a killed desk left behind
	@$(PYTHON) -m apps.core.servers stop

lock: setup ## Resolve requirements/*.in again into *.txt
	@for name in $(LOCKS); do \
		echo "requirements/$$name.txt"; \
		$(UV) pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
			requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean: stop ## Remove .venv, data and everything else that was made here
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# uv installs in seconds what takes pip minutes. It is asked to add, not to sync, which would remove uv itself.
.venv/bin/python:
	@python3 -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	@python3 -m venv --clear .venv || { echo "python3 -m venv failed: apt-get install python3-venv"; rm -rf .venv; exit 1; }

.venv/.installed-%: | .venv/bin/python
	@deploy/install.sh $*

endif
