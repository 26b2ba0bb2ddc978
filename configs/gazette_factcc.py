"""The second stage of the embedded FactCC classifier: claims about whole documents, true and made false by the rules of FactCC's paper.

python train.py --config configs/gazette_factcc_copies.py --workdir out/factcc-copies --cpu_devices 2
python train.py --config configs/gazette_factcc.py --workdir out/factcc --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="factcc",
        seed=1,
        steps=300,
        checkpoint_every=100,
        checkpoint_minutes=4.0,
        eval_every=100,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=16),
        model=ModelConfig(initial="out/factcc-copies/model", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=4e-4,
            warmup_steps=20,
            decay="polynomial",
            decay_start=100,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
