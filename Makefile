# make tables | model | figures | report | study | release | test | docs | mlflow | lint | lock | clean: everything runs
# in .venv, made on first use by the newest Python that fits, or by PYTHON=…
PYTHON ?=
VENV := .venv
CORES ?= all
PROFILE ?= mini
VARIANT ?= siamla
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONUNBUFFERED := 1
export GIT_PYTHON_REFRESH := quiet

.PHONY: tables model figures report study release test docs linkcheck mlflow lint schemas lock clean
tables: $(VENV)/.ready
	snakemake --cores $(CORES) --config profile=$(PROFILE) -- reproduce_tables
	@cat reports/$(PROFILE)/tables/table*.md

# one training in place of all, by its file
MODEL = results/$(PROFILE)/train/$(VARIANT)/seed1/model.pt
model: $(VENV)/.ready
	snakemake --cores $(CORES) --config profile=$(PROFILE) -- $(MODEL)
	@echo "siamla track VIDEO --select --model $(MODEL)"

# figures and pages are views: one that fails keeps no other from being made, and make fails at the end. Since nothing
# but the target waits for the check, which would not stop a run that keeps going, the check comes first by itself.
figures: $(VENV)/.ready
	snakemake --cores $(CORES) --config profile=$(PROFILE) --until check_experiment -- reproduce_figures
	snakemake --cores $(CORES) --config profile=$(PROFILE) --keep-going -- reproduce_figures
	@echo "reports/$(PROFILE)/figures/"

report: $(VENV)/.ready
	snakemake --cores $(CORES) --config profile=$(PROFILE) --until check_experiment -- reproduce_all
	snakemake --cores $(CORES) --config profile=$(PROFILE) --keep-going -- reproduce_all
	@echo "open reports/$(PROFILE)/index.html"

# about an hour on two cores; killed, the same command goes on; the page takes the place of docs/results.md, and that of
# other questions (PROFILE=readings, PROFILE=thawed) of docs/PROFILE.md
study: PROFILE := study
study: PAGE := docs/$(if $(filter study dose,$(PROFILE)),results,$(PROFILE)).md
study: $(VENV)/.ready
	snakemake --cores $(CORES) --config profile=$(PROFILE) -- reproduce_study
	siamla report study --profile $(PROFILE) --write $(PAGE) --overwrite

# the model in the package, made anew: some 20 minutes on two cores; needs the real clips (params/profiles/release.yaml)
release: PROFILE := release
release: $(VENV)/.ready
	snakemake --cores $(CORES) --config profile=$(PROFILE) -- reproduce_tables
	siamla model release release/siamcar --by real_validation

# three processes, each with whole files: those that run a pipeline wait for it often, so that two cores are not enough
# for two
test: $(VENV)/.ready
	pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.ready
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	python .ci/lint_workflow.py

# every warning is an error: a link within the site that leads nowhere, a docstring that cannot be read
docs: $(VENV)/.ready
	sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# links to other sites; needs the network, so no part of .ci/run
linkcheck: $(VENV)/.ready
	sphinx-build -b linkcheck --quiet docs docs/_build/linkcheck

mlflow: $(VENV)/.ready
	siamla mlflow ui

schemas: $(VENV)/.ready
	siamla config schema

# uv where it is present (it needs to be told where pip finds local files), else pip; requirements.lock says why torch
# comes last
$(VENV)/.ready: requirements.lock requirements-torch.txt pyproject.toml
	@set -e; python="$$(sh .ci/find-python "$(PYTHON)")"; \
	minor() { "$$1" -c "import sys; print(sys.version_info[:2])" 2>/dev/null; }; \
	[ "$$(minor "$$python")" = "$$(minor $(VENV)/bin/python)" ] || clear=--clear; \
	"$$python" -m venv $$clear $(VENV); \
	if command -v uv >/dev/null; then \
	  export UV_FIND_LINKS="$$($(VENV)/bin/python -m pip config get global.find-links 2>/dev/null || echo "$$PIP_FIND_LINKS")"; \
	  install="uv pip install --python $(VENV)/bin/python"; \
	else \
	  install="$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check"; \
	fi; \
	echo "installing some 200 packages into $(VENV), 2 to 10 minutes"; \
	$$install --no-deps --require-hashes -r requirements.lock; \
	$$install -r requirements-torch.txt; \
	$$install --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -c "import cv2" || { echo "OpenCV cannot load its system libraries; on Debian or Ubuntu: apt-get install libgl1 libglib2.0-0 libxcb1 libx11-6"; exit 1; }
	@touch $@

# Newer versions: make lock LOCK=--upgrade, or LOCK="--upgrade-package numpy"; needs uv
lock:
	uv pip compile pyproject.toml --extra pipeline --extra onnx --extra dev --extra docs --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-header $(LOCK) \
	  --config-file .ci/lock.toml --constraint requirements-torch.txt --no-emit-package torch --quiet --output-file requirements.lock
	{ echo "$$LOCK_HEAD"; cat requirements.lock; } > requirements.lock.new && mv requirements.lock.new requirements.lock

define LOCK_HEAD
# Every package of the environment but torch, one version for Python 3.11 to 3.14, made by `make lock`. Installed with
# --no-deps --require-hashes. torch stands in requirements-torch.txt, without a hash, and is installed afterwards: its
# builds (CPU, one for each CUDA) have the same version and other bytes, an index holds one of them, and pip takes hashes
# for all packages of a call or for none. What torch needs in every build is here, so that second step adds torch alone
# and, for CUDA, NVIDIA's libraries, at the versions that the build itself names.
endef
export LOCK_HEAD

clean:
	rm -rf $(VENV) .snakemake

# Snakemake and others keep caches at home; where nothing can be written there, they lie in the clone.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p "$(CACHE)" 2>/dev/null && test -w "$(CACHE)" && echo writable),writable)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif
