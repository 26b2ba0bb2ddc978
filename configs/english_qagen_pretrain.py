"""A small BART for real English, from nothing, first part: text infilling on old prose and on SQuAD's paragraphs.
The second part is configs/english_qagen.py; `make english` runs both, in stages of a few minutes.

Source: Lewis et al. 2020 for the task (spans of Poisson(3) words, 30% of them; sentences stay in order, as in BART-base). Sizes are ours: 23
million parameters, so that the weights in 16 bits are 46 MB. Each stage begins with a fresh optimizer: what goes from one to the next
is the model alone.

    python train.py --config configs/english_qagen_pretrain.py --workdir out/english/pretrain-1
    python train.py --config configs/english_qagen_pretrain.py --workdir out/english/pretrain-2 --config.seed=2 \
        --config.model.initial=out/english/pretrain-1/model --config.optimizer.decay=polynomial

Data: data/english-text/text.txt.xz (a paragraph a line), data/squad-v1.1. Hardware: a step in
2 parts wants 27 GB (compiled for a CPU), so one GPU with 40 GB and bfloat16. Not run on a GPU yet.
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def training(folder: str = "data") -> str:
    """What is read. SQuAD's paragraphs come three times in an epoch: they are nearer to news, and a tenth of the prose."""
    return f"lines:{folder}/english-text/text.txt.xz" + 3 * f" squad:{folder}/squad-v1.1/train-v1.1.json"


def validation(folder: str = "data") -> str:
    return f"squad:{folder}/squad-v1.1/dev-v1.1.json"


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="infilling",
        steps=1400,  # of a stage; about 542 are an epoch
        checkpoint_every=400,
        checkpoint_minutes=3.0,
        keep=1,
        eval_every=350,
        export="last",
        export_dtype="float16",
        data=DataConfig(
            train=training(),
            validation=validation(),
            validation_rows=256,
            block_words=360,  # about 490 tokens
            batch_size=128,
            max_targets=1,
            max_target_tokens=512,
            source_buckets=(512,),
            pair_buckets=(1,),
            target_buckets=(512,),
            window=8,
        ),
        model=ModelConfig(
            tokenizer="out/english/tokenizer",
            d_model=384,
            ffn_dim=1536,
            layers=4,
            heads=6,
            max_positions=512,
            copy_init=True,
            dropout=0.0,
            dtype="bfloat16",
        ),
        optimizer=OptimizerConfig(
            learning_rate=1e-3, warmup_steps=200, beta2=0.98, weight_decay=0.01, clip_norm=1.0, accumulate=2
        ),
    )
