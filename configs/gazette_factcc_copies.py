"""The first stage of the embedded FactCC classifier: to compare. It begins as the embedded reader, with heads that attend to like pieces, and
learns to say of every word of a sentence whether a copy of it has another one there.

Without it the same model learns nothing in hundreds of steps of configs/gazette_factcc.py: that a claim is false then hangs on one
word among two hundred. With it, and with those heads, comparing is learnt all at once, between steps 75 and 200.

    python train.py --config configs/gazette_factcc_copies.py --workdir out/factcc-copies --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="factcc",
        seed=1,
        steps=200,
        checkpoint_every=100,
        checkpoint_minutes=4.0,
        eval_every=50,
        export="last",
        data=DataConfig(train="gazette-copies:train", validation="gazette-copies:validation", batch_size=24),
        model=ModelConfig(initial="quals_jax/assets/gazette_reader", copy_init=True, dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=6e-4,
            warmup_steps=20,
            decay="constant",
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
