# `make demo` and `make test` need no preparation; `make help` lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
# The first of these that runs and is new enough; choose with `make demo PYTHON=/path/to/python`.
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11)

.PHONY: help
help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: $(VENV)/host.stamp ## Run importmonitor against three simulated workspaces; Ctrl-C stops it.
	@exec $(BIN)/python -m project.demo

.PHONY: run
run: $(VENV)/host.stamp ## Run it against your own Rocket.Chat (README: “Your own workspace”).
	@exec $(BIN)/python -m project.run

.PHONY: test
test: $(VENV)/test.stamp ## Run the tests (SQLite, loopback only).
	@unset PYTHONDONTWRITEBYTECODE; $(BIN)/python -m pytest -q -n auto --dist worksteal

.PHONY: bench
bench: ## Benchmark, and check the goals (five minutes; FULL=1: fifty; POSTGRES_URL, MARIADB_URL).
	@$(MAKE) --no-print-directory VENV=$(VENV)-bench $(VENV)-bench/bench.stamp
	@[ -z "$$MARIADB_URL" ] || $(VENV)-bench/bin/python -c 'import MySQLdb' 2>/dev/null || \
		sed -n '/^mysqlclient==/,/# via/p' requirements/ci.txt | \
			$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r /dev/stdin
	@$(VENV)-bench/bin/python -m benchmarks $(if $(FULL),--full)

.PHONY: setup
setup: $(VENV)/test.stamp ## Create .venv with everything that the targets above need.

.PHONY: requirements
requirements: ## Update the pins in requirements/ (needs uv).
	@for group in host test image bench ci; do \
		uv pip compile --quiet --universal --python-version 3.11 --no-header --annotation-style line \
			--generate-hashes --group $$group pyproject.toml --output-file requirements/$$group.txt --upgrade; done; \
	uv pip compile --quiet --universal --python-version 3.11 --no-header --annotation-style line \
		--generate-hashes --group release --output-file requirements/release.txt --upgrade # without importmonitor's own

.PHONY: clean
clean: ## Remove .venv, the demo's data and the tools' caches.
	@rm -rf .venv .venv-* .local .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/python.stamp:
	@python=; for candidate in $(PYTHONS); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "importmonitor needs Python 3.11 or newer, and none of these is: $(PYTHONS)." >&2; \
		echo "Install one, or pass it: make $(firstword $(MAKECMDGOALS) setup) PYTHON=/path/to/python" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python has no venv or ensurepip module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV) && touch $@

# --compile: without bytecode every command starts several times slower.
$(VENV)/%.stamp: requirements/%.txt $(VENV)/python.stamp
	@echo "Installing what importmonitor needs into $(VENV) (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile --no-deps --require-hashes -r $< && touch $@
