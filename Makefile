# make run · make test · make lab · make bench · make margins - each sets itself up; on Windows see the README.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lab bench margins badges notebooks clean

run: .venv/.reader
	$(BIN)/python -m ctc_tutorial --plot ctc.png

test: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest tests
	$(BIN)/python -m pytest --nbval notebooks

lab: .venv/.reader
	$(BIN)/jupyter lab notebooks

# The CTC loss against TensorFlow, Keras, PyTorch and optax (writes benchmarks/RESULTS.md), whole
# training steps against PyTorch's (step.md, convolutions.md), the metric of the layer (layer.md).
bench: .venv-bench/.installed
	.venv-bench/bin/python benchmarks/ctc_loss.py
	.venv-bench/bin/python benchmarks/step.py
	.venv-bench/bin/python benchmarks/convolutions.py
	.venv-bench/bin/python benchmarks/layer.py

# Runs every training with many seeds and settings (an hour); writes benchmarks/margins.md.
margins: .venv/.tests
	$(BIN)/python benchmarks/recipe.py
	$(BIN)/python benchmarks/aligner.py
	$(BIN)/python benchmarks/margins.py

# Executes the notebooks (all, or NB=notebooks/00_start_here.ipynb) and writes their outputs.
notebooks: .venv/.tests
	$(BIN)/python scripts/execute_notebooks.py $(NB)

# Stamps README, notebooks and CITATION.cff: make badges REPO=owner/name
badges: .venv/.tests
	$(BIN)/python scripts/stamp_badges.py $(REPO)

clean:
	rm -rf .venv .venv-bench

.venv/.reader: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 10) <= v <= (3, 13) and \
	  "Python 3.10 to 3.13 is needed, but $(PYTHON) is %d.%d: make run PYTHON=python3.12" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

.venv-bench/.installed: benchmarks/requirements.txt .venv/.reader
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade pip
	.venv-bench/bin/python -m pip install --quiet -r requirements.txt -r benchmarks/requirements.txt
	@touch $@

.venv/.tests: tests/requirements.txt .venv/.reader
	$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	@touch $@
