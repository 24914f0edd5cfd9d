# Paths are relative throughout, so that the checkout may lie in a folder with spaces in its name.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
# ONNX Runtime 1.19.2 has wheels for these; 3.10 is the oldest Python that is served.
OLDEST_PYTHON ?= $(shell for python in python3.10 "$$HOME"/.pyenv/versions/3.10.*/bin/python python3.11 python3.12; do \
	"$$python" -c '' 2>/dev/null && echo "$$python" && break; done)
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
# Recipes read these from the environment: a photograph's name may hold spaces and quotes.
export PHOTO DATA PACK MODEL CALIBRATE DETECTOR SIGN DRY_RUN
# ONNX Runtime reports to its maker otherwise; the runtime sees to that by itself, the export and the tests use it directly.
export ORT_DISABLE_TELEMETRY := 1

# What touches numpy, Pillow or ONNX Runtime; the rest does not depend on their versions.
OLDEST_TESTS := tests/runtime

# Folders too: they tell when a file was taken away.
RUNTIME_SOURCES := pyproject.toml hatch_build.py $(shell find runtime tui export artifacts/compact -mindepth 1 \
	! -path '*/__pycache__*' ! -path '*/.*' 2>/dev/null)

.PHONY: help scan tui doctor bench test browser-test snapshots screenshots test-export arm-test oldest-test check compact evaluate export export-bench bench-peers provider-test wheel bundle bundle-test clean

help:  ## Print this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/  make \1\t\2/p' Makefile | expand -t 21

scan: .venv/runtime  ## Scan the sample photographs, or PHOTO=file-or-folder; overlays go to ./overlays
	.venv/bin/dermedge scan "$${PHOTO:-artifacts/samples}" --overlay overlays

tui: .venv/tui  ## Start the terminal interface
	.venv/bin/dermedge tui

doctor: .venv/runtime  ## Check this machine, the installation and the embedded pack
	.venv/bin/dermedge doctor

bench: .venv/runtime  ## Measure every step, the cold start and the memory; PACK=folder for another pack
	mkdir -p bench
	.venv/bin/dermedge bench $${PACK:+--pack "$$PACK"} | tee bench/table.txt

test: .venv-test/installed  ## Test the runtime and the terminal interface
	.venv-test/bin/python -m pytest --ignore=tests/export -m 'not alone' -n 3 --dist worksteal
	.venv-test/bin/python -m pytest --ignore=tests/export -m alone

browser-test: .venv-test/installed  ## Try the interface in headless Chromium, which has to be installed
	DERMEDGE_NEEDS_CHROMIUM=1 .venv-test/bin/python -m pytest tests/tui/test_browser.py

snapshots: .venv-test/installed  ## Write the pages' snapshots anew, after a change that was meant
	DERMEDGE_WRITE_SNAPSHOTS=1 .venv-test/bin/python -m pytest tests/tui/test_snapshots.py

screenshots: .venv-test/installed  ## Take the README's pictures of the interface anew
	.venv-test/bin/python tests/screenshots.py docs/pictures

test-export: .venv-export/installed  ## Test the export stage (installs torch, about 2 GB)
	.venv-export/bin/python -m pytest tests/export

arm-test: .venv-test/installed  ## Run the embedded pack, or PACK=folder, on emulated ARM64 and on x86 without VNNI; QUICK=1 for some of it
	.venv-test/bin/python tests/arm/root.py
	.venv-test/bin/python -m pytest tests/arm/emulated.py

oldest-test: .venv-oldest/installed  ## Test the runtime on the oldest Python and libraries served; OLDEST_PYTHON=interpreter
	@.venv-oldest/bin/python -c 'import platform, onnxruntime, numpy; \
		print("Python", platform.python_version(), "- ONNX Runtime", onnxruntime.__version__, "- numpy", numpy.__version__)'
	PYTHONPATH="$(CURDIR)/runtime" .venv-oldest/bin/python -m pytest $(OLDEST_TESTS)
	if test -e artifacts/compact/pack.json; then PYTHONPATH="$(CURDIR)/runtime" .venv-oldest/bin/python -m dermedge doctor; fi

check: .venv-test/installed  ## Lint, check the types, and see whether the pack's JSON Schema is in step
	.venv-test/bin/python -m ruff check
	.venv-test/bin/python -m mypy
	.venv-test/bin/python -m dermedge.pack.schema | diff -u runtime/dermedge/pack/pack.schema.json -

compact: .venv-export/installed  ## Train the embedded pack from DATA=folder
	@: "$${DATA:?say where the training data lies: make compact DATA=folder}"
	.venv-export/bin/dermedge-export compact --data "$$DATA"

evaluate: .venv-export/installed  ## Measure the embedded pack, or PACK=folder, on DATA=folder
	@: "$${DATA:?say where the photographs lie: make evaluate DATA=folder}"
	.venv-export/bin/dermedge-export evaluate "$$DATA" $${PACK:+--pack "$$PACK"}

export: .venv-export/installed  ## Build the MedSigLIP pack; MODEL=folder, CALIBRATE=labelled photographs, DRY_RUN=1
	.venv-export/bin/dermedge-export medsiglip $${MODEL:+--model "$$MODEL"} $${CALIBRATE:+--calibrate "$$CALIBRATE"} \
		$${DETECTOR:+--detector "$$DETECTOR"} $${SIGN:+--sign "$$SIGN"} $${DRY_RUN:+--dry-run}

export-bench: .venv-export/installed .venv-bench/installed  ## Measure the full-size tower with random weights, beside its peers
	.venv-export/bin/dermedge-export medsiglip-bench --openvino .venv-bench/bin/python

bench-peers: .venv-export/installed .venv-bench/installed  ## Write docs/BENCHMARKS.md: this machine, beside torch, ONNX Runtime and OpenVINO; WIDE=1, NO_MEASURE=1
	.venv-export/bin/python -m dermedge_export.peers --openvino .venv-bench/bin/python $${WIDE:+--wide} $${NO_MEASURE:+--no-measure}

provider-test: .venv-test/installed .venv-openvino/installed .venv-cuda/installed  ## Hold OpenVINO to the golden photographs; see an absent GPU refused
	.venv-test/bin/python -m pytest tests/providers.py

wheel: .venv-test/installed  ## Build the wheel, with the embedded pack in it, into ./dist
	DERMEDGE_RELEASE=1 .venv-test/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

bundle: .venv-test/installed  ## Build the offline installer into ./dist: ARCH=aarch64 or ARCH=x86_64; PACK=folder for another pack
	@: "$${ARCH:?say for which machine: make bundle ARCH=aarch64, or ARCH=x86_64}"
	.venv-test/bin/python -m dermedge_export.bundle --arch "$$ARCH" $${PACK:+--pack "$$PACK"}

bundle-test: .venv-test/installed  ## Try the bundle and its kiosk on bare and on booted Debians without a network (as root, an hour)
	.venv-test/bin/python -m pytest tests/export/bare_debian.py tests/export/booted_debian.py

clean:  ## Remove environments, builds and caches; packs stay
	rm -rf .arm .venv .venv-test .venv-export .venv-bench .venv-oldest .venv-openvino .venv-cuda dist overlays bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find export runtime tui tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Each environment is followed by a stamp: it is brought up to date only when what it was made from has changed.
.venv/bin/python .venv-test/bin/python .venv-export/bin/python .venv-bench/bin/python .venv-openvino/bin/python .venv-cuda/bin/python:
	$(PYTHON) -m venv $(@:/bin/python=)

.venv/runtime: $(RUNTIME_SOURCES) | .venv/bin/python
	.venv/bin/python $(PIP_INSTALL) .
	@touch $@

.venv/tui: .venv/runtime
	.venv/bin/python $(PIP_INSTALL) '.[tui]'
	@touch $@

.venv-test/installed: pyproject.toml hatch_build.py | .venv-test/bin/python
	.venv-test/bin/python $(PIP_INSTALL) --editable '.[dev,tui]'
	@touch $@

# The lower bounds of pyproject.toml, exactly.
.venv-oldest/installed: pyproject.toml Makefile
	@: $(or $(OLDEST_PYTHON),$(error no Python 3.10 to 3.12 was found; name one: make oldest-test OLDEST_PYTHON=/path/to/python3.10))
	$(OLDEST_PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python $(PIP_INSTALL) numpy==2.0.0 pillow==12.3.0 pillow-heif==1.3.0 onnxruntime==1.19.2 \
		'onnx>=1.23.2,<1.24' 'pytest>=9.0' 'hypothesis>=6.150' 'jsonschema>=4.26'
	@touch $@

# torch comes first and by its exact version, so that a CPU build on offer is taken. Ultralytics and timm bring torchvision
# along, whose registry build does not load on a CPU build of torch and takes transformers down with it; dermedge_export
# does without the two there.
.venv-export/installed: pyproject.toml hatch_build.py | .venv-export/bin/python
	.venv-export/bin/python $(PIP_INSTALL) torch==2.13.0
	.venv-export/bin/python $(PIP_INSTALL) --editable '.[dev,export]'
	if .venv-export/bin/python -c 'import sys, torch; sys.exit(torch.version.cuda is not None)'; then \
		.venv-export/bin/python -m pip uninstall --quiet --yes timm torchvision; \
	fi
	@touch $@

# What the benches compare with; nothing else uses it. Pillow decodes the photographs there.
.venv-bench/installed: | .venv-bench/bin/python
	.venv-bench/bin/python $(PIP_INSTALL) openvino==2026.4.1 nncf==3.4.0 'pillow>=12.3'
	@touch $@

# Builds that overwrite onnxruntime's files, each in an environment of its own.
.venv-openvino/installed: | .venv-openvino/bin/python
	.venv-openvino/bin/python $(PIP_INSTALL) onnxruntime-openvino==1.23.0 'numpy>=2.0' 'pillow>=12.3'
	@touch $@

.venv-cuda/installed: | .venv-cuda/bin/python
	.venv-cuda/bin/python $(PIP_INSTALL) 'onnxruntime-gpu>=1.31,<1.32' 'numpy>=2.0' 'pillow>=12.3'
	@touch $@
