"""The embedded question generator of QAGS: asks for a given answer in a summary of Gazette. It begins as the embedded QAGen.

python train.py --config configs/gazette_questions.py --workdir out/questions --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="questions",
        seed=1,
        steps=180,
        checkpoint_every=60,
        checkpoint_minutes=4.0,
        eval_every=60,
        export="last",
        export_dtype="float16",
        data=DataConfig(train="gazette:train", validation="gazette:validation", batch_size=16),
        model=ModelConfig(initial="quals_jax/assets/gazette_qagen", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=6e-4,
            warmup_steps=30,
            decay="polynomial",
            decay_start=100,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
