"""The embedded QAGen's first stage: a small BART that asks and answers about Gazette, trained from nothing.
The second is configs/gazette_qagen_finish.py.

Source: training-notes of this project: copying lessons first, then whole documents and summaries, one optimizer
throughout, the learning rate late and slowly to 0.

    python train.py --config configs/gazette_qagen.py --workdir out/qagen --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="qagen",
        seed=1,
        steps=3600,
        checkpoint_every=400,
        checkpoint_minutes=4.0,
        eval_every=400,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=8, copy_batches=250),
        model=ModelConfig(
            tokenizer="quals_jax/assets/gazette_qagen",
            d_model=192,
            ffn_dim=768,
            layers=3,
            heads=6,
            max_positions=512,
            copy_init=True,
            dropout=0.0,
        ),
        optimizer=OptimizerConfig(
            learning_rate=1.5e-3,
            warmup_steps=100,
            decay="polynomial",
            decay_start=1600,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
