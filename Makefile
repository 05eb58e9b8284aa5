# Everything a person types. Each target sets up what it needs.
UV_VERSION := 0.13.9
UV := .tools/bin/uv
export UV_SYSTEM_CERTS := true
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTEST_WORKERS ?= auto

.PHONY: install demo run test check fix system clean

install: .venv/installed

$(UV):
	@python3 -m pip install --quiet --disable-pip-version-check --target .tools uv==$(UV_VERSION)

.venv/installed: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen
	@touch $@

demo: install
	@novita-gpu demo

run: install
	@novita-gpu serve

test: install system
	@pytest -n $(PYTEST_WORKERS) tests

system:
	@sh tests/system.sh

check: install
	@ruff check .
	@ruff format --check .
	@lint-imports
	@pyright

fix: install
	@ruff check --fix .
	@ruff format .
