# `make test` and `make demo` need nothing but Python >= 3.11, make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPERIMENTS := figure2 figure3 table1 bias

.PHONY: test check demo reports clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python >= 3.11 is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,ray]'
	touch $@

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto

demo: $(VENV)/.installed
	rm -rf demo-output
	$(BIN)/irecgan demo --out demo-output

reports: $(VENV)/.installed
	for name in $(EXPERIMENTS); do $(BIN)/irecgan reproduce $$name --out build/$$name || exit; done
	$(BIN)/python benchmarks/publish_reports.py build docs/reports $(EXPERIMENTS)

check: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache demo-output
