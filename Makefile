# Everything a person types. Each target sets up what it needs: Python 3.11 or later with pip, and PyPI, are enough.
UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
# Tests wait more than they compute.
PYTEST_WORKERS ?= $(shell python3 -c "import os; print((os.cpu_count() or 1) * 3 // 2)")
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

.PHONY: install demo run test prove idle chaos bench crowd fuzz tab screenshots audit sbom check fix docs lock

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

# Killed in the midst of fifty creates, again and again; under load for SECONDS_OF_CHAOS; one of three replicas every ten
# seconds, for SECONDS_OF_REPLICAS; without its Redis, and without its cloud, for SECONDS_WITHOUT_REDIS each. SEED changes the moments.
chaos: install
	@ROUNDS=$${ROUNDS:-10} SECONDS_OF_CHAOS=$${SECONDS_OF_CHAOS:-180} SECONDS_OF_REPLICAS=$${SECONDS_OF_REPLICAS:-300} \
		SECONDS_WITHOUT_REDIS=$${SECONDS_WITHOUT_REDIS:-180} SECONDS_WITHOUT_CLOUD=$${SECONDS_WITHOUT_CLOUD:-300} \
		pytest -n 0 -s tests/chaos $(ARGS)

# How soon one replica answers what another commits, COMMITS of them; what an idle one asks of Redis, for each
# REDIS_PROFILE, over SECONDS.
bench: install
	@python -m tests.server.promptness --commits $${COMMITS:-500}
	@python -m tests.server.idle_cost --seconds $${SECONDS:-120} $(ARGS)

# Requests made of the OpenAPI document, SECONDS with each kind of key and without one; the first by SEED.
fuzz: install
	@python -m tests.api.fuzzing --seconds $${SECONDS:-120} --from $${SEED:-0} $(ARGS)

# A start before a cloud of MACHINES.
crowd: install
	@MACHINES=$${MACHINES:-5000} pytest -n 0 -s tests/chaos/test_crowd.py $(ARGS)

# An hour of events before an open page: EVENTS of them.
tab: install
	@EVENTS=$${EVENTS:-20000} pytest -n 0 -s --timeout 1800 tests/ui/test_many.py -k memory $(ARGS)

# The pictures of the README, taken of the demo.
screenshots: install
	@python -m tests.ui.screenshots

check: install audit
	@ruff check .
	@ruff format --check .
	@lint-imports
	@pyright

# What is locked for use, against the known vulnerabilities at osv.dev. Where that is not reached nothing is said of them,
# within ten seconds, and it is no fault: uv ends with 1 only where it has found some.
audit: $(UV)
	@UV_HTTP_RETRIES=0 UV_HTTP_TIMEOUT=10 $(UV) audit --quiet --frozen --no-dev --preview-features audit-command \
		2>.tools/audit.log || { [ $$? -ne 1 ] && echo "not audited: osv.dev cannot be reached" || \
		{ cat .tools/audit.log; exit 1; }; }

# What a release is made of, with the hashes of the lock, as CycloneDX; goes beside its wheel.
sbom: $(UV)
	@mkdir -p dist
	@$(UV) export --quiet --frozen --no-dev --format cyclonedx1.5 --output-file dist/novita-gpu-api.cdx.json

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
