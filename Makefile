# Every target sets up what it needs. The environment is .venv; nothing is installed outside this folder.

PYTHON ?= python3
GIMP ?= 3.0
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BUF_VERSION := 1.75.0
BUF := build/buf/node_modules/.bin/buf

.DEFAULT_GOAL := help
.PHONY: help install demo test test-gimp gimp-archive check format proto bench bench-all bench-faults bench-gpu gallery clean

help:
	@echo "make demo     paint two photos over the real gRPC path; results in build/demo/"
	@echo "make test     run all tests"
	@echo "make test-gimp  the plug-in in the real GIMP (GIMP=3.0 or 3.2)"
	@echo "make gimp-archive  what GIMP users unpack into their plug-ins folder; in build/"
	@echo "make check    lint, types, contract, stub drift, import arrows"
	@echo "make bench    measure against the goals; results in build/bench/"
	@echo "make bench-all  every measurement: convergence, memory, peers too; two hours and a half"
	@echo "make bench-faults  kill and cut things for an hour or more; nothing may be lost"
	@echo "make bench-gpu  what a GPU says, in nine minutes: correctness, speed, memory, the slowest kernels"
	@echo "make install  set up .venv (the other targets do it by themselves)"
	@echo "make proto    write the stubs from proto/"
	@echo "make gallery  paint the style gallery again"
	@echo "make format   format the code"
	@echo "make clean    remove build/ and caches; .venv stays"

install: $(INSTALLED)

# uv installs the 5 GB of a torch with CUDA in seconds where pip takes minutes; where uv can't reach the index that
# pip is configured for, pip does it.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[server,dev]' \
	  || $(BIN)/python -m pip install --constraint constraints.txt --editable '.[server,dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/impasto demo --output build/demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/gimp
	$(BIN)/python -m pytest tests/gimp

# The plug-in in the real GIMP, 3.0 unless told otherwise: make test-gimp GIMP=3.2
# Kills at random moments, 8 unless told otherwise: make test-gimp IMPASTO_KILLS=200 (half an hour)
test-gimp: $(INSTALLED)
	GIMP=$(GIMP) $(BIN)/python -m pytest tests/gimp

gimp-archive: $(INSTALLED)
	$(BIN)/python -m tools.gimp.archive

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/generate_stubs.py --check
	$(BIN)/python tools/check_arrows.py
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory buf-lint; \
	  else echo "NOTICE: no npm here, so buf lint was skipped"; fi

.PHONY: buf-lint
buf-lint: $(BUF)
	$(BIN)/python tools/generate_stubs.py --descriptors build/contract.binpb
	$(BUF) lint build/contract.binpb --path impasto --config buf.yaml

$(BUF): Makefile
	npm install --silent --no-fund --no-audit --prefix build/buf @bufbuild/buf@$(BUF_VERSION)
	@touch $@

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(INSTALLED)
	$(BIN)/python tools/generate_stubs.py

bench: $(INSTALLED)
	$(BIN)/python -m bench

bench-all: $(INSTALLED)
	$(BIN)/python -m bench all

bench-faults: $(INSTALLED)
	$(BIN)/python -m bench faults

bench-gpu: $(INSTALLED)
	$(BIN)/python -m bench gpu

gallery: $(INSTALLED)
	$(BIN)/python -m tools.gallery

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
