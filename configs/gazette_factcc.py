"""A small FactCC classifier: a BERT, trained on claims about Gazette made by the rules of FactCC's paper. It begins as the
embedded reader, which knows how to look something up in a document.

Not run to its end yet, and none is embedded: of 120 steps the loss is known, which fell from 1.33 to 0.94 nats (claim and pieces together;
2 log 2 = 1.39 at the start), and no accuracy.

    python train.py --config configs/gazette_factcc.py --workdir out/factcc --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="factcc",
        seed=1,
        steps=2500,
        checkpoint_every=250,
        checkpoint_minutes=4.0,
        eval_every=250,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=16),
        model=ModelConfig(initial="quals_jax/assets/gazette_reader", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=4e-4,
            warmup_steps=100,
            decay="polynomial",
            decay_start=200,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
