"""FactCC's classifier: BERT-base on claims made by rules from documents (JSONL rows with a `document`, and `paraphrases` where given).

Source: the release (uncased, 512 pieces, batch 12, learning rate 2e-5; up to 20 epochs, here 100,000 steps). Its own claims are read with
--config.data.train=claims:data-train.jsonl.

    python train.py --config configs/factcc.py --workdir out/factcc-base
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="factcc",
        seed=1,
        steps=100000,
        checkpoint_every=2000,
        eval_every=5000,
        export="best",
        data=DataConfig(
            train="synthetic:data/cnndm/train.jsonl",
            validation="synthetic:data/cnndm/validation.jsonl",
            batch_size=12,
            source_buckets=(256, 384, 512),
        ),
        model=ModelConfig(initial="google-bert/bert-base-uncased", dtype="bfloat16"),
        optimizer=OptimizerConfig(
            learning_rate=2e-5, warmup_steps=1000, decay="polynomial", weight_decay=0.01, clip_norm=1.0
        ),
    )
