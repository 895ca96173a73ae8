# Two commands set up everything: `make run` and `make test`. They need Python 3.11, git and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test test-all test-fuzz test-faults test-ui check bench up lock clean clean-jit

run: $(INSTALLED)  ## the main job on embedded defaults: sorted Krylov recycling, from a PDE to a verdict in MLflow
	$(BIN)/assay run skr

test: $(INSTALLED)  ## the whole suite but the slow studies
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not faults and not ui"

test-all: $(INSTALLED)  ## everything: the slow studies, the faults and the browser too
	$(BIN)/python -m pytest

test-fuzz: $(INSTALLED)  ## the fuzz tests with 5,000 examples of each property, new ones every time
	ASSAY_FUZZ=5000 $(BIN)/python -m pytest -n 2 tests/test_fuzz.py

test-faults: $(INSTALLED)  ## 200 faults injected into real processes
	$(BIN)/python -m pytest -n 2 -m faults

test-ui: $(INSTALLED)  ## a headless Chromium through the Prefect and MLflow UIs (Debian: chromium, chromium-driver)
	$(BIN)/python -m pytest -m ui

check: $(INSTALLED)  ## style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## timings against peers, as ratios from one run
	$(BIN)/python -m benchmarks.solvers --grids 64 128 256 512
	$(BIN)/python -m benchmarks.solver_costs
	$(BIN)/python -m benchmarks.recycling
	$(BIN)/python -m benchmarks.recycling_on_multigrid
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.scale

up: $(INSTALLED)  ## servers, schedules and forms on 127.0.0.1
	$(BIN)/assay up

lock:  ## renew the locks from the .in files
	$(BIN)/python -m pip install uv
	$(BIN)/uv pip compile -q --python-version 3.11 --no-emit-index-url --generate-hashes requirements.in requirements-dev.in requirements-cluster.in -o requirements.lock
	for extra in benchmark jax; do \
	  $(BIN)/uv pip compile -q --python-version 3.11 --no-emit-index-url --generate-hashes -c requirements.lock requirements-$$extra.in -o requirements-$$extra.lock || exit 1; \
	done

$(INSTALLED): requirements.lock requirements-jax.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-jax.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

clean-jit:  ## after editing a compiled kernel that another module calls: numba's cache does not notice
	find benchmarks flows tasks kernels data -name '*.nb[ci]' -delete
