"""A reader for QAGS: BERT-large on SQuAD 2.0, whose questions may have no answer.

Source: the settings of BERT's own program for SQuAD 2.0 (learning rate 3e-5, 2 epochs, windows of 384 with a stride of 128); batch 24.

    python train.py --config configs/squad2_reader.py --workdir out/reader-large
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="reader",
        seed=1,
        steps=11000,
        checkpoint_every=1000,
        eval_every=2000,
        export="best",
        data=DataConfig(
            train="squad:data/squad/train-v2.0.json",
            validation="squad:data/squad/dev-v2.0.json",
            batch_size=24,
            source_buckets=(128, 192, 256, 384),
        ),
        model=ModelConfig(initial="google-bert/bert-large-uncased", dtype="bfloat16"),
        optimizer=OptimizerConfig(
            learning_rate=3e-5, warmup_steps=1100, decay="polynomial", weight_decay=0.01, clip_norm=1.0
        ),
    )
