# Two commands: `make lab` to learn, `make test` to check everything.
# Another Python: make lab PYTHON=python3.12     Options of JupyterLab: make lab ARGS="--no-browser"

PYTHON ?= python3
VENV := .venv
IN_VENV := $(VENV)/bin/python
PIP := $(IN_VENV) -m pip install --disable-pip-version-check --constraint constraints.txt
PYTEST := $(IN_VENV) -m pytest -n 2 --dist loadfile
# Saved outputs hold no progress bars, so that none may appear when they are compared.
NBVAL := TQDM_DISABLE=1 $(PYTEST) -o addopts= -p no:python --nbval --nbval-current-env --nbval-cell-timeout=120 \
	--nbval-sanitize-with tests/nbval.cfg

.PHONY: lab test clean

lab: $(VENV)/.installed
	$(IN_VENV) -m pruneedu.cli lab my-lessons $(ARGS)

# Two workers with one thread each are faster and steadier than two that share all threads.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: export MKL_NUM_THREADS := 1
# The learner's own progress and settings are neither read nor written.
test: export PRUNEEDU_HOME := $(CURDIR)/$(VENV)/test-home
test: export IPYTHONDIR := $(CURDIR)/$(VENV)/test-home/ipython
test: $(VENV)/.installed-test
	rm -rf $(VENV)/test-home
	mkdir -p $(VENV)/test-home/ipython
	$(IN_VENV) -m ruff check .
	$(IN_VENV) -m ruff format --check .
	$(IN_VENV) -m pruneedu.cli build --check
	$(PYTEST)
	PRUNEEDU_QUICK=1 $(NBVAL) lessons
	$(NBVAL) solutions

clean:
	rm -rf $(VENV)

$(VENV)/.installed: WANTED := .
$(VENV)/.installed-test: WANTED := .[test]
$(VENV)/.installed $(VENV)/.installed-test: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'pruneedu needs Python 3.11 or newer, and "$(PYTHON)" is not that.' \
			'Name one that is, for example: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '$(WANTED)'
	touch $@
