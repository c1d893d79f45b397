# One door for everybody: `make demo` to try it, `make test` to test it, `make check` is what decides.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test check lint types contracts wheel sbom trace bench evidence fix lock clean

demo: $(READY)
	$(BIN)/daybook demo

test: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal

check: lint types contracts test wheel

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports --no-cache

wheel: $(READY)
	sh tests/wheel.sh

sbom: $(READY)
	$(BIN)/python -m tests.sbom build/sbom.json

trace: $(READY)
	$(BIN)/python -m tests.trace build/trace.json

# About ten minutes; SCALE=10 tries ten times as often, SEED=2 by other dice.
evidence: $(READY)
	$(BIN)/python -m tests.evidence

bench: $(READY)
	$(BIN)/python -m bench

fix: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# What the environment is made of stands in two files; a change of either makes it anew.
$(READY): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh bootstrap.sh
	@touch $@

lock:
	UV_PYTHON_DOWNLOADS=never uv lock -q
	uv export -q --frozen --no-emit-project --all-extras --no-annotate --no-header -o requirements.lock
	rm uv.lock

clean:
	rm -rf .venv dist build
