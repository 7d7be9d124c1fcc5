# normlab. Two commands are enough: `make run` trains the main experiment, `make test` runs the tests.

VENV := .venv
BIN := $(VENV)/bin
# in this order; the first that serves is taken
PYTHONS ?= python3.11 python3.12 python3.10 python3.9 python3
# what setuptools has to say about editable installations is no news to anybody
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check
SPEC ?= configs/mnist_bn.yaml
# further arguments for what is run, e.g. make run ARGS="--seed 1", make test ARGS="-k bad_input"
ARGS ?=

.PHONY: help run test lint bench configs clean
.DELETE_ON_ERROR:

help:
	@echo "make run    install into $(VENV), then train $(SPEC)"
	@echo "make test   install what the tests need, then run them"
	@echo "make torture  kill, fill, corrupt and attack runs in large numbers (10 to 20 minutes)"
	@echo "make lint   check style and types"
	@echo "make bench  compare the speed with TensorFlow, PyTorch and JAX (needs about 4 GB of disk)"
	@echo "make configs  write configs/norms anew, a commented spec for each method"
	@echo "make clean  remove all that these made, except runs/"

run: $(VENV)/.installed
	$(BIN)/normlab run $(SPEC) $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 $(ARGS)

torture: $(VENV)/.installed-test
	$(BIN)/python -u tests/torture $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/main_job.py --build --results benchmarks/RESULTS.md $(ARGS)
	$(BIN)/python benchmarks/resnet20.py --build --results benchmarks/RESULTS.md $(ARGS)
	$(BIN)/python benchmarks/guard.py

configs: $(VENV)/.installed
	$(BIN)/python -m normlab.cli.norm_spec configs/norms

clean:
	rm -rf $(VENV) .venv-bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says that the extra of its name is installed as setup.cfg says.
$(VENV)/.installed: $(VENV)/.made setup.cfg pyproject.toml
	@echo "installing normlab and what it needs (about a minute)"
	@$(PIP) --editable .
	@# MXNet needs two libraries of the system that a bare one lacks; the doctor knows which
	@$(BIN)/python -c 'from normlab.backend.mxnet import mxnet; mxnet()' 2> /dev/null || { $(BIN)/normlab doctor --quiet >&2; exit 1; }
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	@echo "installing what '$*' needs"
	@$(PIP) --editable '.[$*]'
	@touch $@

$(VENV)/.made:
	@for python in $(PYTHONS); do \
	    $$python -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' 2> /dev/null || continue; \
	    if ! $$python -c 'import venv, ensurepip' 2> /dev/null; then bare="$$bare $$python"; continue; fi; \
	    echo "making $(VENV) with $$($$python --version)"; \
	    $$python -m venv --clear --upgrade-deps $(VENV) && touch $@ && exit 0; \
	    exit 1; \
	done; \
	for python in $$bare; do \
	    echo "$$python is here, but it can't make environments: its modules venv and ensurepip are missing." >&2; \
	    echo "On Debian and Ubuntu, as root: apt-get install $$($$python -c \
	        'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; \
	    exit 1; \
	done; \
	echo "No suitable Python found; tried: $(PYTHONS)." >&2; \
	echo "normlab needs CPython 3.9, 3.10, 3.11 or 3.12. To get one:" >&2; \
	echo "  Debian 12, as root:  apt-get install python3.11-venv" >&2; \
	echo "  Ubuntu, as root:     apt-get install python3-venv" >&2; \
	echo "  elsewhere:           https://www.python.org/downloads/" >&2; \
	echo "One that is installed elsewhere: make run PYTHONS=/path/to/python3.11" >&2; \
	exit 1
