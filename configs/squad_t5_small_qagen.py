"""A T5-small that writes questions with their answers, in the format of lmqg's public models, from SQuAD 1.1.

    python train.py --config configs/squad_t5_small_qagen.py --workdir out/qagen-t5-small --dry_run
    python train.py --config configs/squad_t5_small_qagen.py --workdir out/qagen-t5-small
    python score.py --model out/qagen-t5-small/model --input pairs.jsonl

All questions of a paragraph share one encoding of it. Never run at this size by us: the dry run says what memory and how many steps it wants
on the machine at hand (1,200 steps, 24 GB; docs/training.md). For
another T5 or mT5, --config.model.initial=...; for MQAG's format, --config.model.pair_format=sep (the tokenizer
then needs a sep_token).

Data: data/squad/train-v1.1.json and data/squad/dev-v1.1.json.
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="qagen",
        steps=0,
        epochs=3.0,
        checkpoint_every=500,
        eval_every=500,
        data=DataConfig(
            train="squad:data/squad/train-v1.1.json",
            validation="squad:data/squad/dev-v1.1.json",
            validation_rows=1000,
            batch_size=64,
            batch_tokens=16_384,
            batch_target_tokens=16_384,
            collapse_spaces=True,
            max_targets=8,
            source_buckets=(128, 256, 512),
            pair_buckets=(1, 4, 8),
            target_buckets=(32, 64, 128),
        ),
        model=ModelConfig(initial="google-t5/t5-small", pair_format="qag", dropout=0.1, dtype="bfloat16"),
        optimizer=OptimizerConfig(learning_rate=1e-4, warmup_steps=200, weight_decay=0.01, clip_norm=1.0),
    )
