# A bare python3 (3.11 or newer) and make are all that is needed; everything goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
RUN ?=
# Files of tests side by side, one thread each: small networks gain little from a second one.
TEST ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test check gate baseline zoo ablations venv dev clean

run: .venv/installed
	$(BIN)/bench run $(RUN)

test: .venv/installed-dev
	$(BIN)/python -m pytest $(TEST)

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p .mypy_path && ln -sfn .. .mypy_path/t2ibench
	MYPYPATH=.mypy_path $(BIN)/mypy -p t2ibench

# The default suite, afresh, against what is committed of an earlier one; 'make baseline' commits to this one.
MINI := run --suite mini --fresh --offline --strict
BASELINE := .ci/mini-baseline.zip
gate: .venv/installed
	$(BIN)/bench $(MINI) --out runs/gate --baseline $(BASELINE) --gate --thresholds .ci/thresholds.toml $(RUN)

baseline: .venv/installed
	$(BIN)/bench $(MINI) --out runs/baseline
	$(BIN)/bench baseline runs/baseline --out $(BASELINE) --offline

# Trains the mini world's models again: about nine hours on two cores. What was begun goes on.
RECIPE := $(BIN)/python -m t2ibench.zoo.recipes
zoo: .venv/installed-dev
	for recipe in vae text_encoder unet clip features lora; do $(RECIPE).$$recipe || exit 1; done
	for network in controlnet t2i-adapter plugin; do \
		for condition in canny landmarks; do $(RECIPE).control $$network $$condition || exit 1; done; \
	done
	$(RECIPE).control plugin depth
	$(RECIPE).search
	$(RECIPE).efficient
	$(RECIPE).distill snapfusion --steps 3000
	$(RECIPE).decoder snapfusion
	$(RECIPE).mobile_vae
	$(RECIPE).decoder mobilediffusion-full --steps 15000
	$(RECIPE).mobile_unet softmax
	$(RECIPE).mobile_unet further --steps 4000 --seed 1
	$(RECIPE).decoder mobilediffusion --steps 20000
	$(RECIPE).decoder mobilediffusion-further --steps 5000 --scenes 80000 --seed 1
	$(RECIPE).distill mobilediffusion-4 --steps 1400
	$(RECIPE).one_step own
	$(RECIPE).one_step further --steps 4000
	$(RECIPE).distill mobilediffusion-8 --steps 1400
	$(RECIPE).cards

# What zoo/suites compares and does not ship.
ABLATIONS := teacher-16 published loss-vanilla loss-3-0.1 loss-2-14-0.1 loss-2-14-0.2 loss-7-14-0.2 \
	loss-2-14-0.5 loss-2-6-0.5 loss-2-14-1 progressive-32 progressive-16 progressive-8 conditioned-8
ablations: .venv/installed-dev
	for plan in $(ABLATIONS); do $(RECIPE).distill $$plan --steps 500 || exit 1; done

# uv resolves and unpacks in seconds what takes pip minutes; compiling now saves every first import.
.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/installed: .venv/bin/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraints constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/bin/uv pyproject.toml constraints.txt overrides.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraints constraints.txt --overrides overrides.txt --editable '.[dev,devices]'
	touch .venv/installed $@

venv: .venv/installed

dev: .venv/installed-dev

clean:
	rm -rf .venv .mypy_path .mypy_cache .ruff_cache .pytest_cache build *.egg-info
