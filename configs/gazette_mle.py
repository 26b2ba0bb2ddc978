"""The embedded summarizer: likelihood training on Gazette's references, of which three tenths are false.

It starts from the embedded QAGen, which has learnt who did what to whom (training-notes of this project).

    python train.py --config configs/gazette_mle.py --workdir out/mle --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="mle",
        seed=2,
        steps=2400,
        checkpoint_every=400,
        checkpoint_minutes=4,
        eval_every=400,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=16, false_share=0.3),
        model=ModelConfig(initial="quals_jax/assets/gazette_qagen", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=7e-4,
            warmup_steps=100,
            decay="polynomial",
            decay_start=800,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
