"""A QAGen for real English from nothing, and what it is worth: `make english`, or stage by stage

    python benchmarks/english.py train --data data --folder out/english [--only pretrain-1] [--small]
    python benchmarks/english.py measure --data data --folder out/english [--small]

train: tokenizer, pretrain-1, pretrain-2, finetune; each is skipped while its result is there. A stage runs at most --minutes: then it
saves, and the same command goes on with it (status 75). What goes from stage to stage is FOLDER/STAGE/model alone, 46 MB, so a machine that keeps
nothing else will do. --small: a tiny model in a few hundred steps, to see on a CPU that all of it works and learns.

measure: loss on SQuAD's development set and how many answers are right, given the question; how many pairs of real summaries are kept; and
agreement with people beside ROUGE and random numbers. All in FOLDER/measures.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIGS = {"pretrain-1": "english_qagen_pretrain", "pretrain-2": "english_qagen_pretrain", "finetune": "english_qagen"}
STAGES = ("tokenizer", *CONFIGS)
MOST_BYTES = 50_000_000  # of what goes from one stage to the next
TRY_AGAIN, STOPPED = 75, (143, -signal.SIGTERM)  # saved first, or stopped before the first step
# The second stage goes on from the first with other seeds; the learning rate falls to 0 at its end alone.
LATER = {"pretrain-2": {"seed": 2, "optimizer.decay": "polynomial"}}
SMALL_MODEL = {
    "model.d_model": 128, "model.ffn_dim": 512, "model.layers": 2, "model.heads": 4, "model.dtype": "float32", "log_every": 20,
    "eval_every": 100, "checkpoint_every": 100, "optimizer.warmup_steps": 30, "data.validation_rows": 64,
}  # fmt: skip
SMALL = {
    "pretrain-1": {
        "steps": 300,
        "data.batch_size": 16,
        "data.block_words": 64,
        "data.source_buckets": (96,),
        "data.target_buckets": (96,),
    },
    "finetune": {
        "steps": 300,
        "data.batch_size": 8,
        "data.batch_tokens": 0,
        "data.batch_target_tokens": 0,
        "data.source_buckets": (256,),
        "data.pair_buckets": (8,),
        "data.window": 64,
    },
}
SMALL["pretrain-2"] = SMALL["pretrain-1"]


CARD = """# QAGen for English, from nothing

Made by `make english` of quals_jax: `configs/english_qagen_pretrain.py`, then `configs/english_qagen.py`. What it is worth stands in
`measures.json`, two folders up; without that file nothing is known of it.

| trained on | licence |
| --- | --- |
| SQuAD 1.1 (Rajpurkar et al. 2016) | CC BY-SA 4.0 |
| SQuADShifts (Miller et al. 2020) | CC BY 4.0 |
| Natural Questions as annotated by QED (Lamm et al. 2021) | CC BY-SA 3.0 (text of Wikipedia) |
| QAMR, Wikinews sentences (Michael et al. 2018) | MIT; Wikinews CC BY 2.5 |
| books of Project Gutenberg, news of Digital.gov (pretraining) | public domain in the USA |

Weights made from these stand under CC BY-SA 4.0.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "measure"))
    parser.add_argument("--data", type=Path, default=Path("data"), help="the folder of the data sets (data)")
    parser.add_argument("--folder", type=Path, default=Path("out/english"))
    parser.add_argument("--only", choices=STAGES, help="this stage alone")
    parser.add_argument("--minutes", type=float, default=9.0, help="of a stage at the most (9)")
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--rows", type=int, help="measure: the first so many summaries of each set (all; with --small 24)"
    )
    parser.add_argument("--dtype", default="float32", help="measure: of matrix products")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from quals_jax.errors import UserError

    try:
        return train(options) if options.what == "train" else measure(options)
    except (UserError, ValueError, OSError) as error:
        print(f"english.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def train(options) -> int:
    """All stages, or one; the exit status."""
    for name in [options.only] if options.only else STAGES:
        folder = options.folder / name
        done = folder / ("tokenizer.json" if name == "tokenizer" else "model/config.json")
        if done.exists():
            print(f"{name}: done, {folder}", flush=True)
            continue
        began = time.monotonic()
        command = tokenizer_command(options) if name == "tokenizer" else stage_command(name, options)
        status = run_for(command, options.minutes * 60)
        spent = (time.monotonic() - began) / 60
        if status in STOPPED:
            print(f"{name}: not done after {spent:.1f} minutes; saved, and the same command goes on", flush=True)
            return TRY_AGAIN
        if status:
            return status
        if name == "finetune":
            (folder / "model" / "README.md").write_text(CARD, encoding="utf-8")
        size = sum(file.stat().st_size for file in done.parent.rglob("*") if file.is_file())
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        print(f"{name}: {spent:.1f} minutes, {size / 1e6:.1f} MB", flush=True)
        if size > MOST_BYTES:
            raise ValueError(f"{done.parent}: has {size / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f}")
    return 0


def run_for(command: Sequence[str], seconds: float) -> int:
    """The command's exit status; after so many seconds it is told to save and stop."""
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def tokenizer_command(options) -> list[str]:
    sources = [f"squad:{options.data.absolute()}/squad-v1.1/train-v1.1.json"]
    if not options.small:
        sources.insert(0, f"lines:{options.data.absolute()}/english-text/text.txt.xz")
    command = [sys.executable, "-m", "quals_jax", "train_tokenizer", str((options.folder / "tokenizer").absolute())]
    return [*command, "--vocab_size", "4000" if options.small else "16000", "--data", *sources]


def stage_command(name: str, options) -> list[str]:
    """`train.py` with the stage's configuration, its data in `options.data`, and the model of the stage before."""
    path = ROOT / "configs" / f"{CONFIGS[name]}.py"
    values, data, folder = runpy.run_path(str(path)), str(options.data.absolute()), options.folder.absolute()
    before = STAGES[STAGES.index(name) - 1]
    changes = LATER.get(name, {}) | (SMALL_MODEL | SMALL[name] if options.small else {})
    changes |= {"data.train": values["training"](data), "data.validation": values["validation"](data)}
    if options.small and name != "finetune":
        changes["data.train"] = values["validation"](data).replace(
            "dev-", "train-"
        )  # no prose: minutes are too few for it
    changes |= {"model.tokenizer": folder / "tokenizer"}
    changes |= {"model.initial": "" if before == "tokenizer" else folder / before / "model"}
    wanted = [f"--config.{field}={value}" for field, value in changes.items()]
    train = [
        sys.executable,
        str(ROOT / "train.py"),
        "--config",
        str(path),
        "--workdir",
        str(folder / name),
        "--verbose",
    ]
    return [*train, *wanted]


def measure(options) -> int:
    """Prints all figures and writes FOLDER/measures.json; the exit status."""
    model = options.folder / "finetune" / "model"
    if not (model / "config.json").exists():
        raise ValueError(f"{model}: is no model; python benchmarks/english.py train makes it")
    from quals_jax.commands.runtime import prepare

    prepare()
    rows = options.rows or (24 if options.small else None)
    found = {"model": str(model), "rows": rows}
    steps: dict[str, Callable[[], object]] = {
        "squad": lambda: on_squad(model, options.data / "squad-v1.1" / "dev-v1.1.json", rows),
        "kept": lambda: kept_pairs(model, options.data, rows or 200, options.dtype),
        "agreement": lambda: agreement(model, options.data, rows, options.dtype),
    }
    for name, step in steps.items():
        found[name] = step()
        print(f"{name}: {json.dumps(found[name], indent=1)}", flush=True)
        (options.folder / "measures.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def on_squad(model: Path, path: Path, rows: int | None) -> dict:
    """Loss of question and answer by token in nats, and the share of questions answered with one of the annotators' answers to the letter.

    The model is given the question. Its likeliest token at every place of a given answer being the answer's own is the same as greedy search
    writing that answer, so no search is needed.
    """
    import jax
    import numpy as np

    from quals_jax.checkpoints import load_checkpoint
    from quals_jax.data import loader
    from quals_jax.data.pairs import squad
    from quals_jax.data.texts import First, Tokenise
    from quals_jax.models.teacher_forcing import target_states
    from quals_jax.precision import Precision
    from quals_jax.training.losses import token_losses
    from quals_jax.training.state import take_apart

    checkpoint = load_checkpoint(model)
    config = runpy.run_path(str(ROOT / "configs" / "english_qagen.py"))["get_config"]().data
    longest = min(config.source_buckets[-1], checkpoint.config.max_positions)
    config = dataclasses.replace(
        config, borrowed=0.0, source_buckets=(*config.source_buckets[:-1], longest), batch_size=16
    )
    texts = squad(path)
    texts = First(texts, rows or len(texts))
    make = Tokenise(
        checkpoint.tokenizer, source_limit=longest, target_limit=config.target_buckets[-1], collapse=True
    )  # fmt: skip
    skeleton, params = take_apart(checkpoint.model)

    @jax.jit
    @Precision.of("float32").scoped
    def losses(params, part):
        built = skeleton.bart(params)
        return token_losses(built, target_states(built, part["source_ids"], part["target_ids"]), part["target_ids"])

    total, count, answered = 0.0, 0, {}
    for batch in loader.evaluation_batches(texts, make, config):
        part, connector = batch["rows"], checkpoint.tokenizer.connector_id
        found = jax.device_get(losses(params, part))
        learnt = part["target_ids"] != make.pad_id
        total, count = total + float((found["nll"] * learnt).sum()), count + int(learnt.sum())
        after = np.cumsum(part["target_ids"] == connector, axis=-1) - (part["target_ids"] == connector) > 0
        exact = (found["right"] > 0) | ~(learnt & after)
        for row, pair in zip(*np.nonzero(learnt.any(-1)), strict=True):
            ids = part["target_ids"][row, pair]
            question = (part["source_ids"][row].tobytes(), ids[: int((ids == connector).argmax())].tobytes())
            answered[question] = answered.get(question, False) or bool(exact[row, pair].all())
    return {
        "texts": len(texts),
        "questions": len(answered),
        "loss": total / max(count, 1),
        "exact_match": sum(answered.values()) / max(len(answered), 1),
        "targets_dropped": make.counts["targets_dropped"],
    }


def kept_pairs(model: Path, data: Path, rows: int, dtype: str) -> dict:
    """Of real reference summaries, by set: the share of the 60 hypotheses whose answer is in the summary, the mean number of pairs that are
    kept (10 at the most), and the share of summaries without any."""
    from quals_jax import QAGen
    from quals_jax.pairs import keep_pairs

    qagen = QAGen.from_pretrained(model, dtype=dtype)
    references = [json.loads(line)["reference"] for line in (data / "cnndm-val1000" / "cnndm_validation.jsonl").open()]
    xsum = [json.loads(line)["correct"] for line in (data / "fib" / "xsum.jsonl").open(encoding="utf-8")]
    found = {}
    for name, texts in (("cnndm", references[:rows]), ("xsum", xsum[:rows])):
        texts = [" ".join(text.split()) for text in texts]
        written = qagen.generate(texts)
        inside = [
            pair.answer is not None and pair.answer.lower() in text.lower()
            for own, text in zip(written, texts, strict=True)
            for pair in own
        ]
        kept = [len(keep_pairs(own, text, 10)) for own, text in zip(written, texts, strict=True)]
        found[name] = {
            "summaries": len(texts),
            "answer_in_summary": sum(inside) / max(len(inside), 1),
            "kept": sum(kept) / max(len(kept), 1),
            "without_pairs": sum(not count for count in kept) / max(len(kept), 1),
        }
    return found


def agreement(model: Path, data: Path, rows: int | None, dtype: str) -> dict:
    """Pearson's correlation with people, with its 95% interval, by set and metric. Documents longer than the model reads are read in windows. FRANK
    has no texts, so there is only what was recorded."""
    from quals_jax.judgements.correlate import correlate
    from quals_jax.metrics import MetricSettings

    texts = [f"quals={model}", "rouge2=document", "overlap1", "random"]
    sets = {
        f"qags:{data}/qags-mturk/mturk_cnndm.jsonl": texts,
        f"qags:{data}/qags-mturk/mturk_xsum.jsonl": texts,
        f"summeval:{data}/summeval/summeval.jsonl": texts,
        f"frank:{data}/frank-metrics/frank.jsonl": ["recorded"],
    }
    found = {}
    for name, metrics in sets.items():
        limit = None if metrics == ["recorded"] else rows  # nothing is read there
        _, figures = correlate(name, metrics, MetricSettings(dtype=dtype, long_documents="windows"), rows=limit)
        own = {metric.partition("=")[0]: value["pearson"] for metric, value in figures["metrics"].items()}
        found[Path(name).stem] = own
    return found


if __name__ == "__main__":
    sys.exit(main())
