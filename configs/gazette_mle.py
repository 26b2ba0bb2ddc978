"""The embedded summarizer: trained by likelihood on Gazette's references, 30 % of which are false.

It starts from the embedded QAGen's weights: a summarizer has the same thing to learn (who did what to whom).

    python train.py --config configs/gazette_mle.py --workdir out/mle --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="mle",
        seed=2,
        steps=1600,
        checkpoint_every=400,
        checkpoint_minutes=4,
        eval_every=400,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=16, false_share=0.3),
        model=ModelConfig(initial="quals_jax/assets/gazette_qagen", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=1e-3,
            warmup_steps=100,
            decay="polynomial",
            decay_start=600,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
