# make demo · make bench · make test · make test-comfyui · make docs · make lint · make locales · make train-lite · make train-paper ·
# make ablations; each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# make train-lite, make ablations: DATA holds faces/ and labels/ with the sets omi, faker and omi_val, for the ablations celebahq too,
# weights/ with the RetinaFace teacher, ImageNet features of VGG-16 and AlexNet, and LPIPS's heads for both, and backgrounds/ with images
# without faces; faces are aligned as FFHQ's, labels PNGs of the 19 regions as psfr parse writes them. SET="--set NAME=VALUE" changes recipes.
DATA ?= data
RUNS ?= runs
# Large buffers go back to the system only when training ends: a fifth less time on a CPU.
TRAIN = MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=4000000000 $(BIN)/psfr

.DEFAULT_GOAL := demo

bench: $(VENV)/installed
	$(BIN)/psfr benchmark --images examples/images/portrait.jpg examples/images/solvay_conference_1927.jpg $(BENCH)

.PHONY: bench demo docs test test-comfyui lint locales train-lite train-paper ablations clean

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
	@echo "Look at demo/*_compare.png: before on the left, after on the right."

test: $(VENV)/installed-dev
	node --test tests/web/*.test.mjs
	$(BIN)/pytest

# The pack in a ComfyUI tree of yours, over its API and in Chromium: COMFYUI_PATH, COMFYUI_PYTHON, COMFYUI_ARGS, CHROMIUM.
test-comfyui: $(VENV)/installed-dev
	cd tests/browser && npm install
	$(BIN)/pytest tests/comfyui tests/browser -rs

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

# Check in the English texts of the nodes, the names that saved workflows hold, and the signatures of the public API.
locales: $(VENV)/installed-dev
	$(BIN)/pytest tests/nodes/test_names_and_strings.py tests/test_public_api.py --write-strings

# The bundled models: about nineteen hours on two CPU cores. Interrupted runs resume.
train-lite: $(VENV)/installed-train
	$(TRAIN) train parsenet_256 compact_face psfrgan_256 psfrgan_512_small --data $(DATA) --out $(RUNS) $(SET)

# The published networks, for GPUs: LAUNCH="accelerate launch --multi_gpu -m psfr_core" takes several.
LAUNCH ?= $(BIN)/psfr
train-paper: $(VENV)/installed-train
	$(LAUNCH) train paper_parser paper_generator --data $(DATA) --out $(RUNS) $(SET)

# What the paper's ideas are worth on a small generator: psfr_core/assets/ablations.md.
ablations: $(VENV)/installed-train
	$(TRAIN) ablate --data $(DATA) --out $(RUNS)/ablations $(SET)

clean:
	rm -rf $(VENV) demo
