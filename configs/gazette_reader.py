"""The embedded reader of QAGS: a small BERT that finds answers in Gazette, or that there is none. It begins as the encoder of the embedded
QAGen, and keeps its byte-level BPE.

    python train.py --config configs/gazette_reader.py --workdir out/reader --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="reader",
        seed=1,
        steps=1000,
        checkpoint_every=250,
        checkpoint_minutes=4.0,
        eval_every=250,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=12),
        model=ModelConfig(initial="quals_jax/assets/gazette_qagen", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=6e-4,
            warmup_steps=100,
            decay="polynomial",
            decay_start=300,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
