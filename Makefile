# make demo · make bench · make test · make test-comfyui · make lint · make locales · make train-lite · make train-paper ·
# make ablations; each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# make train-lite, make ablations: DATA holds faces/ and labels/ with the sets omi, faker and omi_val, for the ablations celebahq too, and
# weights/ with the RetinaFace teacher, ImageNet features of VGG-16 and AlexNet, and LPIPS's heads for both; faces are aligned as FFHQ's, labels
# PNGs of the 19 regions as psfr parse writes them. BACKGROUNDS is a folder of pictures without faces.
DATA ?= data
BACKGROUNDS ?= backgrounds
RUNS ?= runs
TRAIN = MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=4000000000 $(BIN)/psfr train
SETS = --faces $(DATA)/faces/omi $(DATA)/faces/faker --labels $(DATA)/labels/omi $(DATA)/labels/faker \
	--val-faces $(DATA)/faces/omi_val --val-labels $(DATA)/labels/omi_val --licence CC-BY-NC-SA-4.0
PIXEL_ONLY = --style 0 --adversarial 0 --feature-matching 0
GENERATOR_256 = $(SETS) --channels 192 128 96 64 32 --parser $(RUNS)/parser/parser.safetensors \
	--pixel 10 --perceptual 0.005 --style 1 --adversarial 0 --feature-matching 0 --feature-window 128 \
	--features $(DATA)/weights/vgg16_features_imagenet.safetensors --batch-size 4 --betas 0.5 0.99 --ema-decay 0.998
WIDE = --channels 192 128 96 64 48 --modulation-channels 64 --residual
PERCEIVED = --pixel 2 --psnr 0.1 --perceptual 0 --lpips 3 --heads $(DATA)/weights/lpips_v0.1_vgg_heads.safetensors \
	--ema-decay 0.995 --learning-rate 4e-4
AGAINST_FEATURES = $(PERCEIVED) --feature-discriminator --style 10 --adversarial 0.3 --discriminator-learning-rate 2e-3
PIXEL_256 = $(SETS) $(PIXEL_ONLY) --channels 192 128 96 64 32 --parser $(RUNS)/parser/parser.safetensors \
	--batch-size 8 --learning-rate 8e-4 --betas 0.5 0.99

.DEFAULT_GOAL := demo

bench: $(VENV)/installed
	$(BIN)/psfr benchmark --images examples/images/portrait.jpg examples/images/solvay_conference_1927.jpg $(BENCH)

.PHONY: bench demo test test-comfyui lint locales train-lite train-paper ablations clean

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

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# What is checked in of the schemas: the English texts, and the names that saved workflows hold.
locales: $(VENV)/installed-dev
	$(BIN)/pytest tests/nodes/test_names_and_strings.py --write-strings

# The bundled models: about nineteen hours on two CPU cores. Interrupted runs go on where they were.
train-lite: $(VENV)/installed-train
	$(TRAIN) parser --out $(RUNS)/parser $(SETS) --batch-size 4 --steps 9000 --learning-rate 5e-4
	$(TRAIN) detector --out $(RUNS)/detector $(SETS) --backgrounds $(BACKGROUNDS) --steps 9000 \
		--teacher $(DATA)/weights/detection_mobilenet0.25_Final.pth
	$(TRAIN) generator --out $(RUNS)/generator_64 $(SETS) $(PIXEL_ONLY) --channels 192 128 96 \
		--steps 1000 --learning-rate 1e-3 --betas 0.5 0.99
	$(TRAIN) generator --out $(RUNS)/generator_128 $(SETS) $(PIXEL_ONLY) --channels 192 128 96 64 \
		--steps 1000 --learning-rate 8e-4 --betas 0.5 0.99 --start-from $(RUNS)/generator_64/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_a $(GENERATOR_256) --steps 2600 --learning-rate 5e-4 \
		--start-from $(RUNS)/generator_128/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_b $(GENERATOR_256) --steps 3000 --learning-rate 4e-4 \
		--start-from $(RUNS)/generator_256_a/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_c $(GENERATOR_256) --steps 2200 --learning-rate 5e-4 --seed 7 \
		--start-from $(RUNS)/generator_256_b/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_d $(PIXEL_256) --steps 2000 --ema-decay 0.998 \
		--start-from $(RUNS)/generator_256_c/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_e $(PIXEL_256) --residual --steps 1000 --ema-decay 0.99 --seed 11 \
		--start-from $(RUNS)/generator_256_d/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_f $(GENERATOR_256) $(WIDE) --perceptual 0.01 --style 2 --steps 2500 --learning-rate 6e-4 --seed 21 \
		--start-from $(RUNS)/generator_256_e/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_g $(GENERATOR_256) $(WIDE) $(PERCEIVED) --style 1 \
		--steps 1100 --seed 41 --start-from $(RUNS)/generator_256_f/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_h $(GENERATOR_256) $(WIDE) $(AGAINST_FEATURES) --style 1 --adversarial 0.1 \
		--discriminator-learning-rate 1e-3 --steps 100 --seed 51 --start-from $(RUNS)/generator_256_g/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_i $(GENERATOR_256) $(WIDE) $(AGAINST_FEATURES) \
		--steps 1200 --seed 52 --start-from $(RUNS)/generator_256_h/generator.safetensors
	$(TRAIN) generator --out $(RUNS)/generator_256_j $(GENERATOR_256) $(WIDE) $(AGAINST_FEATURES) \
		--steps 1850 --seed 71 --start-from $(RUNS)/generator_256_i/generator.safetensors
	$(BIN)/psfr blend $(RUNS)/generator_256_g/generator.safetensors $(RUNS)/generator_256_j/generator.safetensors \
		$(RUNS)/psfrgan_256.safetensors --amount 0.8 --half
	$(TRAIN) generator --out $(RUNS)/generator_512 $(GENERATOR_256) $(WIDE) $(AGAINST_FEATURES) --channels 192 128 96 64 48 12 \
		--feature-window 192 --batch-size 2 --steps 900 --seed 61 \
		--start-from $(RUNS)/generator_256_i/generator.safetensors

# The published networks, for GPUs: LAUNCH="accelerate launch --multi_gpu -m psfr_core" takes several. CELEBAMASK is CelebAMask-HQ and FFHQ a folder of
# FFHQ's images, both as downloaded; FFHQ_LABELS are its parse maps (psfr parse --aligned), VAL holds faces/ and labels/ kept out of both.
LAUNCH ?= $(BIN)/psfr
CELEBAMASK ?= CelebAMask-HQ
FFHQ ?= images1024x1024
FFHQ_LABELS ?= ffhq_labels
VAL ?= val
train-paper: $(VENV)/installed-train
	$(LAUNCH) train parser --out $(RUNS)/paper_parser --faces $(CELEBAMASK)/CelebA-HQ-img --labels $(CELEBAMASK)/CelebAMask-HQ-mask-anno \
		--val-faces $(VAL)/faces --val-labels $(VAL)/labels --channels 64 128 256 256 256 --residual-blocks 10 \
		--dice 0 --reconstruction 1 --closed-eyes 0 --steps 90000 --batch-size 8 --learning-rate 2e-4 --betas 0.9 0.999
	$(LAUNCH) train generator --out $(RUNS)/paper_generator --faces $(FFHQ) --labels $(FFHQ_LABELS) \
		--val-faces $(VAL)/faces --val-labels $(VAL)/labels --channels 1024 512 256 128 64 32 --modulation-channels 64 --spectral-norm \
		--discriminator-channels 64 128 256 512 1024 --discriminator-scales 3 --parser $(RUNS)/paper_parser/parser.safetensors \
		--pixel 10 --feature-matching 10 --style 1000 --adversarial 1 --features vgg19 \
		--feature-layers conv1_2 conv2_2 conv3_4 conv4_4 conv5_4 --steps 262500 --batch-size 4 \
		--learning-rate 1e-4 --discriminator-learning-rate 4e-4 --betas 0.5 0.999

# What the paper's ideas are worth on a small generator: psfr_core/assets/ablations.md.
ablations: $(VENV)/installed-train
	MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=4000000000 $(BIN)/psfr ablate --out $(RUNS)/ablations \
		--faces $(DATA)/faces/omi $(DATA)/faces/faker --labels $(DATA)/labels/omi $(DATA)/labels/faker \
		--test-faces $(DATA)/faces/celebahq --test-labels $(DATA)/labels/celebahq --style 3 --feature-layers conv1_2 conv2_2 conv3_3 \
		--features $(DATA)/weights/vgg16_features_imagenet.safetensors \
		--lpips-features $(DATA)/weights/alexnet_features_imagenet.safetensors --heads $(DATA)/weights/lpips_v0.1_alex_heads.safetensors

clean:
	rm -rf $(VENV) demo
