# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-run

.PHONY: demo test test-thorough lint types contracts pytest bench guide balancers runs clean

demo: $(VENV)/base.stamp  ## install, then table -> configuration -> report on real data
	@mkdir -p $(DEMO)
	$(BIN)/relatask data diabetes --output $(DEMO)/diabetes.csv --overwrite
	$(BIN)/relatask init $(DEMO)/diabetes.csv --target progression --by group --output $(DEMO)/diabetes.yaml --overwrite
	$(BIN)/relatask train $(DEMO)/diabetes.yaml --overwrite

test: $(VENV)/test.stamp lint types contracts pytest  ## everything that CI runs

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.stamp
	$(BIN)/mypy

contracts: $(VENV)/test.stamp
	$(BIN)/lint-imports

pytest: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-thorough: $(VENV)/test.stamp  ## more draws of every law, and what takes long
	RELATASK_THOROUGH=1 $(BIN)/python -m pytest -n auto

bench: $(VENV)/test.stamp  ## ratios against peers and recorded results
	$(BIN)/python -m benchmarks.linear
	$(BIN)/python -m benchmarks.balance

guide: $(VENV)/test.stamp  ## every figure of docs/which-relation.md, computed anew
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.guide

balancers: $(VENV)/test.stamp  ## the runs of docs/guides/which-balancer.md that are not yet in benchmarks/balancers/runs.csv
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.balancers

RUNS := atis fdu_mtl tox21 bccd coco128 multi_mnist digits hillstrom beijing

runs: $(VENV)/test.stamp  ## every run of docs/runs with its full settings; each goes on where it stopped
	for run in $(RUNS); do OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m examples.runs.$$run || exit 1; done
	$(BIN)/python -m examples.runs.page

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/base.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test,bench]"
	@touch $@ $(VENV)/base.stamp

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis
