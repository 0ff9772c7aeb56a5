# make run · make lab · make test · make check - each sets itself up; on Windows see the README.
PYTHON ?= python3
BIN := .venv/bin
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=300

.PHONY: run lab test check fuzz backends notebooks browser site bench margins stamp clean

run: .venv/.reader
	$(BIN)/python -m ctc_tutorial --plot ctc.png

lab: .venv/.reader
	$(BIN)/jupyter lab notebooks

test: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal tests
	$(BIN)/python -m pytest -n 2 --dist loadfile $(NBVAL) notebooks

# What to run before every commit, in under a minute.
check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 tests -m "not slow"

# Strange inputs for every public function, 10,000 for each that is fast;
# writes benchmarks/fuzz.md. `make test` runs a few, always the same.
fuzz: .venv/.dev
	FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest -q tests/test_fuzz.py tests/test_fuzz_data.py \
	  tests/test_fuzz_models.py

# The layer for every Keras backend, on JAX and on PyTorch, in an environment of its own.
backends: .venv-backends/.installed
	KERAS_BACKEND=jax .venv-backends/bin/python -m pytest -rs tests/test_portable.py
	KERAS_BACKEND=torch .venv-backends/bin/python -m pytest -rs tests/test_portable.py

# Executes the notebooks (all, or NB=notebooks/00_start_here.ipynb) and writes their outputs.
notebooks: .venv/.dev
	$(BIN)/python scripts/execute_notebooks.py $(NB)

# Runs the notebooks (all, or NB=...) in JupyterLab in a browser, moves their widgets, and drives the
# playground. Needs a Chromium on the PATH.
browser: .venv/.dev
	$(BIN)/python -m pytest tests/test_playground.py
	$(BIN)/python scripts/run_in_browser.py $(NB)

# All notebooks as they are committed, a page per helper, the playground and search: build/site.
site: .venv/.dev
	$(BIN)/python scripts/make_site.py

# The CTC loss against TensorFlow, Keras, PyTorch and optax (writes benchmarks/RESULTS.md), whole
# training steps against PyTorch's (step.md, convolutions.md), the metric of the layer (layer.md).
bench: .venv-bench/.installed
	.venv-bench/bin/python benchmarks/ctc_loss.py
	.venv-bench/bin/python benchmarks/step.py
	.venv-bench/bin/python benchmarks/convolutions.py
	.venv-bench/bin/python benchmarks/layer.py

# Runs every training with many seeds and settings (an hour); writes benchmarks/margins.md.
margins: .venv/.dev
	$(BIN)/python benchmarks/recipe.py
	$(BIN)/python benchmarks/aligner.py
	$(BIN)/python benchmarks/margins.py

# Writes the version and the repository's name wherever they stand; make stamp REPO=owner/name
# gives it another name.
stamp: .venv/.dev
	$(BIN)/python scripts/stamp.py $(REPO)

clean:
	rm -rf .venv .venv-bench .venv-backends

.venv/.reader: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 10) <= v <= (3, 13) and \
	  "Python 3.10 to 3.13 is needed, but $(PYTHON) is %d.%d: make run PYTHON=python3.12" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[tensorflow,notebooks]'
	@touch $@

.venv/.dev: .venv/.reader
	$(BIN)/python -m pip install --quiet -e '.[tensorflow,notebooks,ship,dev,site]'
	@touch $@

.venv-bench/.installed: pyproject.toml
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade pip
	.venv-bench/bin/python -m pip install --quiet -e '.[tensorflow,bench]'
	@touch $@

.venv-backends/.installed: pyproject.toml
	@test -x .venv-backends/bin/python || $(PYTHON) -m venv .venv-backends
	.venv-backends/bin/python -m pip install --quiet --upgrade pip
	.venv-backends/bin/python -m pip install --quiet -e '.[backends]'
	@touch $@
