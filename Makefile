# The same verbs for people and for CI. Each sets itself up: all it needs beforehand is make and Python 3.11 or newer.

SHELL := /bin/sh
# Tests start hundreds of processes: without caches each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_VENV := .bench-venv
BENCH_READY := $(BENCH_VENV)/.ready
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3
WORKERS ?= auto
TESTS ?= tests
SEEDS ?= 2000
FROM ?= 0
JOBS ?= 2
MINUTES ?= 5
KILLS ?= 20
PORT ?= 29876
WEB ?=
WEB_PORT ?= 8080
RUN_FOLDER ?= run-data
ROUNDS ?= 7

.PHONY: help test test-long coverage test-ha run demo bench bench-quick bench-compare scale soak attack lint format schema clean simulate
.DEFAULT_GOAL := help

help:
	@echo "make test    run the test suite, linters included; 5 minutes (TESTS=tests/unit for a part, WORKERS=1 for one at a time)"
	@echo "make test-long  run the tests that make test leaves out: more databases, faults and seeds; 30 minutes"
	@echo "make coverage  run all tests and report the lines and except clauses that none of them reaches; 60 minutes"
	@echo "make simulate SEEDS=20000  run the production cores in so many simulated worlds (FROM=seed, JOBS=2)"
	@echo "make run     serve for trying out, on a ledger of its own in $(RUN_FOLDER), and say how to sell into it (PORT=29876)"
	@echo "make demo    trade a made-up day of a small chain through a real server and prove the stock (WEB=1: and look at it in a browser, WEB_PORT=8080)"
	@echo "make bench   measure against peers and limits, side by side: benchmarks/results/bench.md (make bench-quick: 90 s)"
	@echo "make bench-compare BASE=commit  is the checkout as fast as BASE? in turns, ROUNDS=7; 5 minutes (COMPARE= for options)"
	@echo "make scale   measure service times and have a model compute what is past this machine: docs/scale.md"
	@echo "make soak    real faults for MINUTES=5, and a table of what they did to the postings (SOAK= for options)"
	@echo "make attack  attack a live server beside 20 honest tills, a minute each phase: 10 hours (ATTACK='--seconds 5 --only idle')"
	@echo "make test-ha kill the primary of a PostgreSQL cluster KILLS=20 times under load, and compare (HA= for options)"
	@echo "make lint    ruff and mypy; of pos_client also as on Windows and macOS"
	@echo "make format  let ruff rewrite what it can"
	@echo "make schema  write schema/*.json and schema/examples/ anew from the messages"
	@echo "make clean   remove build and test output and the ledger of make run (to start over, also: rm -r $(VENV))"

test: $(READY)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup -m "not long" $(TESTS)

test-long: $(READY)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup -m long $(TESTS)

coverage: export COVERAGE_FILE := $(CURDIR)/.coverage-data/coverage
coverage: $(READY)
	rm -rf .coverage-data
	$(BIN)/coverage run -m pytest -q -n $(WORKERS) --dist loadgroup $(TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
	$(BIN)/python -m tests.support.handlers $(COVERAGE_FILE)

simulate: $(READY)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM) --jobs $(JOBS)

run: $(READY)
	@mkdir -p '$(RUN_FOLDER)'
	@echo "Once it serves, sell and ask in a second terminal, in this folder; Ctrl-C ends it, make clean removes its ledger:"
	@echo "  $(BIN)/pos-client sell ESPRESSO-1KG=2 --server 127.0.0.1:$(PORT) --terminal north-1 --location north --outbox '$(RUN_FOLDER)/north-1.db' --wait 30"
	@echo "  $(BIN)/stock-query ESPRESSO-1KG --server 127.0.0.1:$(PORT)"
	@exec $(BIN)/inventory-server serve --dev --listen 127.0.0.1:$(PORT) --db 'sqlite:///$(RUN_FOLDER)/hq.db'

demo: $(READY)
	$(BIN)/inventory-server demo $(if $(WEB),--web 127.0.0.1:$(WEB_PORT))

bench: $(BENCH_READY)
	$(BENCH_VENV)/bin/python -m benchmarks.measure $(BENCH)
	$(BENCH_VENV)/bin/python -m benchmarks.json_servers

bench-quick: $(BENCH_READY)
	$(BENCH_VENV)/bin/python -m benchmarks.measure --quick $(BENCH)

bench-compare: $(BENCH_READY)
	$(BENCH_VENV)/bin/python -m benchmarks.compare --base='$(BASE)' --rounds $(ROUNDS) $(COMPARE)

scale: $(BENCH_READY)
	$(BENCH_VENV)/bin/python -m benchmarks.calibrate $(SCALE)
	$(BENCH_VENV)/bin/python -m benchmarks.scale

soak: $(READY)
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) $(SOAK)

attack: $(READY)
	$(BIN)/python -m tests.attack $(ATTACK)

test-ha: $(READY)
	@tests/support/packages.sh etcd-server patroni haproxy postgresql-15 postgresql-client-15
	$(BIN)/python -m tests.ha --kills $(KILLS) $(HA)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 pos_client
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin pos_client

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(READY)
	$(BIN)/python -m inventory_server.protocol.describe.openrpc schema/
	$(BIN)/python -m inventory_server.web.describe schema/

clean:
	rm -rf build dist run-data .coverage-data .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find pos_client inventory_server schema tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

# The virtual environment: made once, renewed when pyproject.toml changes. Python's own complaint about a
# missing ensurepip (Debian packs it separately) is replaced by the command that helps, or by running it.
$(READY): pyproject.toml
	@set -e; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		python=; \
		for name in $(PYTHONS); do \
			if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo "Tillwire needs Python 3.11 or newer and found none; on Debian 12 or later: apt-get install python3 python3-venv" >&2; \
			exit 1; \
		fi; \
		if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
			package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
			if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
				echo "Installing $$package, which $$python needs for virtual environments."; \
				apt-get install -qq -y "$$package" >/dev/null || { apt-get update -qq && apt-get install -qq -y "$$package" >/dev/null; }; \
			else \
				echo "$$python cannot make virtual environments here; please run: apt-get install $$package" >&2; \
				exit 1; \
			fi; \
		fi; \
		echo "Making $(VENV) with $$python."; \
		"$$python" -m venv --clear $(VENV); \
	fi; \
	echo "Installing what pyproject.toml asks for into $(VENV)."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	touch $@

# The peers live in an environment of their own, beside an installation of Tillwire itself.
$(BENCH_READY): $(READY) pyproject.toml benchmarks/requirements.txt
	$(BIN)/python -m venv --clear $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[server,postgresql]' -r benchmarks/requirements.txt
	touch $@
