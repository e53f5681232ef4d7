# All set-up happens here: `make demo` and `make test` need Python 3.11+ with venv, git, and a network the first time.
# ARGS are passed on:  make demo ARGS=--headless   make test ARGS='tests/test_broker.py -x'

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# What touches the warehouse; the rest knows nothing of DuckDB's version.
LAKE_TESTS := $(addprefix tests/test_,$(addsuffix .py,stores lake_workers lake_faults lake_restored lake_reading upkeep ingest closing known_ids unknown_names publishing commands_incidents backup retention))
.DEFAULT_GOAL := help

# What the caller's shell says about Python is about another Python.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help demo test test-faults test-lake test-walk check bench bench-peers bench-lake bench-lake-live bench-accuracy bench-forecast lint types format audit clean

help: ## Show this list
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/ready ## Start everything and watch the launch day of 2025-03-01 (ARGS=--headless: without pages, checked to the won)
	$(BIN)/onnuri demo $(ARGS)

test: $(VENV)/ready-to-test ## Run the tests but the long ones, in three processes; in one where ARGS says which (ARGS: what pytest takes)
	$(BIN)/python -m pytest $(or $(ARGS),--numprocesses=3 --dist=worksteal)

test-faults: $(VENV)/ready-to-test ## Kill, freeze and starve the line, the long tests too: half an hour
	$(BIN)/python -m pytest -m "faults or long" $(ARGS)

test-lake: $(VENV)-lake/ready ## Run the warehouse's tests on DuckLake too, with DuckDB 1.5 and its extensions from packages (ARGS: what pytest takes)
	$(VENV)-lake/bin/python -m pytest $(or $(ARGS),--numprocesses=2 --dist=worksteal $(LAKE_TESTS))

test-walk: $(VENV)/ready-to-test ## Walk over every page in a browser; PUBLISHED=data/demo/published walks over what a demo left, PICTURES=folder keeps pictures
	ONNURI_TEST_PUBLISHED='$(PUBLISHED)' ONNURI_TEST_PICTURES='$(PICTURES)' $(BIN)/python -m pytest tests/test_dashboard_walk.py $(ARGS)

check: lint types test ## Lint, types, tests

bench: $(VENV)/ready-to-test ## Measure (ARGS: what to measure)
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/ready-to-test $(VENV)-peers/ready ## Others on the same topic in the same run (ARGS='--events 1000000 --turns 3')
	$(BIN)/python -m benchmarks peers --others $(VENV)-peers/bin/python $(ARGS)

bench-lake: $(VENV)-lake/ready ## Several workers on one lake against one on a file (ARGS='--events 400000 --workers 1 2 4')
	$(VENV)-lake/bin/python -m benchmarks lake $(ARGS)

bench-lake-live: $(VENV)-lake/ready ## A lake's files and readers under live load (ARGS='--minutes 60 --rate 500 --workers 2')
	$(VENV)-lake/bin/python -m benchmarks lake_live $(ARGS)

bench-accuracy: $(VENV)/ready-to-test ## Known losses in real sales, DATA=folder (ARGS='--yardstick FILE.py --history 7')
	$(BIN)/python -m benchmarks.accuracy --data $(or $(DATA),$(error Expected DATA=folder of the data, e.g. make bench-accuracy DATA=data)) $(ARGS)

bench-forecast: $(VENV)/ready-to-test ## Forecasts on weeks held back, DATA=folder, beside others (half an hour; ARGS='--rivals none' without them: a minute)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,bench]'
	$(BIN)/python -m benchmarks forecast --data $(or $(DATA),$(error Expected DATA=folder of the data, e.g. make bench-forecast DATA=data)) $(ARGS)

lint: $(VENV)/ready-to-test ## Check the style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready-to-test ## Check the types
	$(BIN)/mypy

format: $(VENV)/ready-to-test ## Put the code into its form
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

audit: $(VENV)/ready-to-test $(VENV)-audit/ready ## Known vulnerabilities of the pins, and a bill of materials in build/ (ARGS=--strict: fail where nobody can be asked)
	$(VENV)-audit/bin/python deploy/audit.py $(BIN)/python constraints.txt build $(ARGS)

clean: ## Remove what set-up and tests made (data/ stays)
	rm -rf $(VENV) $(VENV)-peers $(VENV)-audit $(VENV)-lake build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/ready: pyproject.toml constraints.txt
	@$(call install,.)

$(VENV)/ready-to-test: pyproject.toml constraints.txt
	@$(call install,.[test])
	@touch $(VENV)/ready

$(VENV)-peers/ready: benchmarks/peers.txt $(VENV)/ready-to-test
	$(BIN)/python -m venv --clear $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/peers.txt
	@touch $@

# As constraints.txt but for DuckDB itself, which the extra pins.
$(VENV)-lake/ready: pyproject.toml constraints.txt $(VENV)/ready-to-test
	$(BIN)/python -m venv --clear $(VENV)-lake
	grep -v '^duckdb==' constraints.txt > $(VENV)-lake/constraints.txt
	$(VENV)-lake/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(VENV)-lake/constraints.txt --editable '.[test,lake-offline]'
	@touch $@

$(VENV)-audit/ready: deploy/audit.txt $(VENV)/ready
	$(BIN)/python -m venv --clear $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check --requirement deploy/audit.txt
	@touch $@

# A stamp is written when all is installed, so what was interrupted is done again.
define install
set -eu; \
if ! [ -x $(BIN)/pip ] || ! $(BIN)/python -c '' 2>/dev/null; then \
    python=; \
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
        if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
    done; \
    if [ -z "$$python" ]; then \
        echo "onnuri needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || true). On Debian or Ubuntu: apt install python3 python3-venv" >&2; exit 1; \
    fi; \
    if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
        echo "$$python has no venv module. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; \
    fi; \
    echo "Making $(VENV) with $$("$$python" --version)."; \
    "$$python" -m venv --clear $(VENV); \
fi; \
echo "Installing packages into $(VENV): a minute or two the first time."; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)'; \
touch $@
endef
