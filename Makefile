# make run     set up .venv on first use and run the main job on the demo model
# make test    the tests, without those that take long
# make soak    sweeps, servers and clusters that run for minutes
# make check   style, types and all tests but those of make soak
# make bench   all benchmarks, into docs/performance.md; bench-quick takes five minutes
# make coverage   which lines no test reaches
# make docs    the configuration reference; make pictures: those of the README
# make ui      MLflow on this machine: http://127.0.0.1:5000
# make lock    pin the newest versions that fit pyproject.toml
# make train-demo   train the demo model again
# More settings for the job: make run ARGS="prompt=cot limit=5"

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test test-all soak check lint lock train-demo ui bench bench-quick coverage docs pictures help

run: install-run
	@$(BIN)/python run.py $(ARGS)

test: install-dev
	@$(BIN)/python -m pytest $(ARGS)

test-all: install-dev
	@$(BIN)/python -m pytest -m "not soak" $(ARGS)

soak: install-dev
	@$(BIN)/python -m pytest -m soak $(ARGS)

lint: install-dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

check: lint test-all

bench bench-quick: bench%: install-dev
	@$(BIN)/python benchmarks $(if $(filter -quick,$*),quick,full) $(ARGS)

coverage: install-dev
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -m "" $(ARGS) || true
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

docs: install-dev
	@$(BIN)/python tools/configuration.py

pictures: install-dev
	@$(BIN)/python tools/pictures.py $(ARGS)

ui: install-run
	@$(BIN)/mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db

# Train the demo model again, in an environment of its own: torch is large.
train-demo: .venv-train
	@.venv-train/bin/python -m training.train_demo $(ARGS)

# Pin the newest versions that fit pyproject.toml.
lock: install-dev
	@$(BIN)/python -m pip install --quiet uv
	@for group in run dev; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-emit-index-url \
	    $$( [ $$group = dev ] && echo "--extra dev -c requirements/run.txt" ) \
	    pyproject.toml -o requirements/$$group.txt; \
	done

.PHONY: install-run install-dev
install-run install-dev: install-%: | .venv
	@$(BIN)/python tools/install.py $*

.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@$(PYTHON) -m venv .venv

.venv-train:
	@$(PYTHON) -m venv .venv-train
	@.venv-train/bin/python -m pip install --quiet -e '.[train]' || { rm -rf .venv-train; exit 1; }

help:
	@sed -n '/^$$/q; s/^# //p' Makefile
