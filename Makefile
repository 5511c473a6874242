# make tables | figures | report | test | mlflow | lint | clean: everything runs in .venv, made on first use.
PYTHON ?= python3.11
VENV := .venv
CORES ?= all
PROFILE ?= mini
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONUNBUFFERED := 1
export GIT_PYTHON_REFRESH := quiet

.PHONY: tables figures report test mlflow lint schemas clean
tables: $(VENV)/.ready
	snakemake --cores $(CORES) --show-failed-logs --config profile=$(PROFILE) -- reproduce_tables
	@siamla report show reports/$(PROFILE)/tables/table*.md

figures: $(VENV)/.ready
	snakemake --cores $(CORES) --show-failed-logs --config profile=$(PROFILE) -- reproduce_figures
	@echo "reports/$(PROFILE)/figures/"

report: $(VENV)/.ready
	snakemake --cores $(CORES) --show-failed-logs --config profile=$(PROFILE) -- reproduce_all
	@echo "open reports/$(PROFILE)/index.html"

test: $(VENV)/.ready
	pytest

lint: $(VENV)/.ready
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

mlflow: $(VENV)/.ready
	siamla mlflow ui

schemas: $(VENV)/.ready
	siamla config schema

# uv where it is present (it needs to be told where pip finds local files), else pip.
$(VENV)/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: $(PYTHON) was not found; make PYTHON=… names another"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null; then \
	  UV_FIND_LINKS="$$($(PYTHON) -m pip config get global.find-links 2>/dev/null || $(PYTHON) -m pip config get :env:.find-links 2>/dev/null || true)" \
	    uv pip install --python $(VENV)/bin/python -r requirements.lock; \
	else \
	  $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock; \
	fi
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -c "import cv2" || { echo "OpenCV cannot load its system libraries; on Debian or Ubuntu: apt-get install libgl1 libglib2.0-0 libxcb1 libx11-6"; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) .snakemake
