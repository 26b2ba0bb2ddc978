# Every target sets up what it needs; a second run installs nothing.
PYTHON ?= python3
PLATFORM ?= cpu
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
TRAIN := $(VENV)/.train
TEST := $(VENV)/.test
RAY := $(VENV)/.ray
REQUIREMENTS := pyproject.toml constraints.txt

.PHONY: english gpu tpu cuda setup score test test-newest train bench soak lint test-ray clean

setup: $(SETUP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(SETUP): $(REQUIREMENTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(TRAIN): $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train]'
	touch $@

$(TEST): $(TRAIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,data,test]'
	touch $@

$(RAY): $(TEST)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,data,test,ray]'
	touch $@

score: $(SETUP)
	$(BIN)/python score.py --input examples/gazette.jsonl --output out/scores.jsonl --report out/report.html --overwrite
	@$(BIN)/python examples/check_mean.py README.md out/scores.jsonl

test: $(TEST)
	OPTIMIZED=1 PLATFORM=$(PLATFORM) $(BIN)/python -m pytest --ignore tests/soak -m golden
	PLATFORM=$(PLATFORM) $(BIN)/python -m pytest --ignore tests/soak -m "not golden"

# The newest JAX that a newer Python gets: no pins, and an environment of its own.
test-newest:
	@command -v python3.12 >/dev/null || { echo "test-newest: there is no python3.12 here; skipped"; exit 0; }; \
	test -x .venv-newest/bin/python || python3.12 -m venv .venv-newest; \
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --editable '.[train,data,test]' && \
	.venv-newest/bin/python -m pytest --ignore tests/soak

# Programs compiled for a TPU slice that is not there, and read; ALL=1: BART-large too, our kernels, T5-large, one chip, a newer generation,
# and 16 chips with sharded parameters.
comma := ,
tpu: $(TRAIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,tpu]'
	$(BIN)/python benchmarks/tpu.py --models embedded $(if $(ALL),large)
	$(if $(ALL),$(BIN)/python benchmarks/tpu.py --models large --programs search score --kernels choice$(comma)attention)
	$(if $(ALL),$(BIN)/python benchmarks/tpu.py --models t5_large --programs search score answer sample)
	$(if $(ALL),$(BIN)/python benchmarks/tpu.py --models large --topology v5e:1x1 --programs search score)
	$(if $(ALL),$(BIN)/python benchmarks/tpu.py --models large --topology v6e:2x2 --programs search score)
	$(if $(ALL),$(BIN)/python benchmarks/tpu.py --models large --topology v5e:4x4 --programs train_mle train_conseq --shard_params)

# Programs compiled for an H100 that is not there, and read: an environment of its own of 6 GB; ALL=1: BART-large too, our kernels, float32.
cuda:
	test -x .venv-cuda/bin/python || $(PYTHON) -m venv .venv-cuda
	.venv-cuda/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,cuda12]'
	.venv-cuda/bin/python benchmarks/cuda.py --models embedded
	$(if $(ALL),.venv-cuda/bin/python benchmarks/cuda.py --models large)
	$(if $(ALL),.venv-cuda/bin/python benchmarks/cuda.py --models large --programs search score --kernels all)
	$(if $(ALL),.venv-cuda/bin/python benchmarks/cuda.py --models large --programs search score train_mle --dtype float32)

# Goldens, kernels and benchmarks on the NVIDIA GPU of this machine; PEER: an environment with torch and transformers 4.56.2.
gpu: $(TEST)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,data,test,cuda12]'
	$(BIN)/python benchmarks/gpu.py $(if $(PEER),--peer_python $(PEER)/bin/python)

# A QAGen for real English from nothing, and what it is worth: for one GPU, about 15 minutes and the measurements (docs/english.md).
# DATA: where the data sets lie; SMALL=1: a tiny one, on a CPU.
DATA ?= data
english: $(TRAIN)
	$(BIN)/python benchmarks/english.py train --data $(DATA) --folder $(or $(FOLDER),out/english) $(if $(SMALL),--small)
	$(BIN)/python benchmarks/english.py measure --data $(DATA) --folder $(or $(FOLDER),out/english) $(if $(SMALL),--small)

lint: $(TEST)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

train: $(TRAIN)
	$(BIN)/python train.py --config configs/gazette_conseq_miniature.py --workdir out/miniature --cpu_devices 2 --verbose

bench: $(TRAIN)
	$(BIN)/python benchmarks/bench.py $(if $(PEER),--peer_python $(PEER)/bin/python)

soak: $(TEST)
	$(BIN)/python -m pytest --run-soak tests/soak

test-ray: $(RAY)
	$(BIN)/python -m pytest tests/test_ray.py

clean:
	rm -rf out work build
