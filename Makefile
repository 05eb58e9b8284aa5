# Everything a person types. Each target sets up what it needs: Python 3.11 or later with pip, and PyPI, are enough.
UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
PYTEST_WORKERS ?= auto
ARGS ?=

# The Python of .venv has no pip, so uv is installed by the one behind it.
BEHIND := $(subst $(CURDIR)/.venv/bin:,,$(PATH))
export PATH := $(CURDIR)/.venv/bin:$(BEHIND)
# uv brings certificates of its own; a proxy's are known to the system only.
export UV_SYSTEM_CERTS := true
# Without this pyright asks PyPI at each run whether it is the newest.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Without bytecode every command of the tests would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT

.PHONY: install demo run test prove idle chaos bench crowd tab screenshots check fix docs lock

install: .venv/installed

$(UV):
	@PATH="$(BEHIND)" python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
		--target $(dir $(UV:/bin/uv=/)) uv==$(UV_VERSION)

.venv/installed: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --locked
	@touch $@

# ARGS goes to the command: make demo ARGS="--port 3001"
demo: install
	@novita-gpu demo $(ARGS)

run: install
	@novita-gpu serve $(ARGS)

test: install
	@sh tests/system.sh
	@pytest -n $(PYTEST_WORKERS) tests $(ARGS)

# The whole search for a schedule that buys twice or loses something. MINUTES for the part by chance, SEED where it begins.
prove: install
	@python -m tests.prove --minutes $${MINUTES:-3} --from $${SEED:-0} $(ARGS)

# Simulated fleets for DAYS: what was stopped in use and what was left idle, as a table. FLEETS of them, the first by SEED.
idle: install
	@python -m tests.idle --days $${DAYS:-3} --fleets $${FLEETS:-4} --from $${SEED:-0} $(ARGS)

# Killed in the midst of fifty creates, again and again, and under load for SECONDS_OF_CHAOS; SEED changes the moments.
chaos: install
	@ROUNDS=$${ROUNDS:-10} SECONDS_OF_CHAOS=$${SECONDS_OF_CHAOS:-180} pytest -n 0 -s tests/chaos $(ARGS)

# What an idle replica asks of Redis, for each REDIS_PROFILE, over SECONDS.
bench: install
	@python -m tests.server.idle_cost --seconds $${SECONDS:-120} $(ARGS)

# A start before a cloud of MACHINES.
crowd: install
	@MACHINES=$${MACHINES:-5000} pytest -n 0 -s tests/chaos/test_crowd.py $(ARGS)

# An hour of events before an open page: EVENTS of them.
tab: install
	@EVENTS=$${EVENTS:-20000} pytest -n 0 -s --timeout 1800 tests/ui/test_many.py -k memory $(ARGS)

# The pictures of the README, taken of the demo.
screenshots: install
	@python -m tests.ui.screenshots

check: install
	@ruff check .
	@ruff format --check .
	@lint-imports
	@pyright

fix: install
	@ruff check --fix .
	@ruff format .

# After a change of settings or of keys.
docs: install
	@python -m tests.architecture.settings_page
	@python -m tests.architecture.redis_page

# After a change of dependencies. The default index only, whatever this machine is set to: docs/decisions/0008.
lock: $(UV)
	@env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_FIND_LINKS $(UV) lock --no-config
