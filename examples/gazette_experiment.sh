#!/bin/sh
# ConSeq on Gazette: one summarizer, one scored set of candidates for each kind, three seeds of fine-tuning by QUALS and by ROUGE.
# Prints the table of docs/results.md (there without ROUGE's seeds, of 300 stories). Resumes where it was stopped.
# More than an hour on two cores (not timed as a whole).
set -eu
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${1:-out/experiment}
systems=
for seed in 1 2 3; do
    for kind in conseq conseq_rouge; do
        "$PYTHON" train.py --config "configs/gazette_$kind.py" --workdir "$OUT/$kind-$seed" --cpu_devices 2 \
            --config.seed="$seed" --config.candidates.folder="$OUT/candidates-$kind" --verbose
        systems="$systems --system $kind-$seed=$OUT/$kind-$seed/model"
    done
done
# shellcheck disable=SC2086
"$PYTHON" -m quals_jax evaluate --system MLE=quals_jax/assets/gazette_mle $systems \
    --data gazette:test --rows 500 --seed 7 --best_of 6 --output "$OUT/evaluation"
