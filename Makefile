# Everything starts here: `make demo` and `make test` set up what they need, in .venv.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: demo test fast lint bench pictures setup lock clean

demo: .venv/.run ## A province pays on this machine; ARGS="--for 30s --json" passes options
	@$(BIN)/quetma demo $(ARGS)

test: .venv/.dev ## The whole test suite, in two processes; ARGS="-k qr" passes options
	@$(BIN)/python -m pytest -n 2 $(ARGS)

fast: .venv/.dev ## Only tests without brokers and browsers
	@$(BIN)/python -m pytest tests/unit tests/property tests/golden tests/test_architecture.py $(ARGS)

lint: .venv/.dev ## Lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/.dev ## Benchmarks; ARGS="publish --json" passes options
	@$(BIN)/quetma bench $(ARGS)

pictures: .venv/.dev ## Draw docs/pictures again, after a change of the scenarios or the model
	@for one in bac-giang phu-tho hung-yen an-giang; do \
	  $(BIN)/quetma report adoption $$one --out docs/pictures/adoption-$$one.svg >/dev/null || exit; done
	@$(BIN)/quetma report adoption an-giang --without teams --without teams-an-minh --without teams-u-minh-thuong \
	  --out docs/pictures/counterfactual-an-giang-teams.svg >/dev/null

setup: .venv/.dev ## Install everything, tests' tools included

lock: .venv/.dev ## Renew requirements/*.txt from pyproject.toml
	@requirements/lock.sh

clean: ## Remove what setup made
	rm -rf .venv

.venv/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Quetma needs Python 3.11 or newer: set PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.run: .venv/.uv requirements/run.txt pyproject.toml
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/run.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/dev.txt
	@touch $@
