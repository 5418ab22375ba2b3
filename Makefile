# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOG := mlruns/quickstart/ticket_triage.jsonl

export HF_HUB_OFFLINE = 1
export MLFLOW_DISABLE_TELEMETRY = true
export LITELLM_LOCAL_MODEL_COST_MAP = True
export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo test check clean

# Torch goes first and pinned: another package that asks for any torch would pull CUDA builds.
$(VENV)/.local: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[local]"
	touch $@

$(VENV)/.dev: $(VENV)/.local
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

$(LOG): | $(VENV)/.local
	$(BIN)/python -m upturn.quickstart --out $(LOG)

demo: $(VENV)/.local $(LOG)  ## from production feedback to a promoted version, offline
	$(BIN)/upturn run configs/ticket_triage.yaml

test: $(VENV)/.dev  ## the whole suite; ARGS go to pytest
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(VENV)/.dev  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .coverage build src/upturn.egg-info
