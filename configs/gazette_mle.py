"""The embedded summarizer: trained by likelihood on Gazette's references, 60 % of which are false.

They are false in the same way wherever a story allows it: roles are exchanged, else the outcome is reversed. A model
trained on references of which 30 % were false at random made things up when its summaries were sampled (17 % of their
facts), and hardly ever in beam search (0.8 %): of random mistakes each is rarer than the truth.

It starts from the embedded QAGen's weights: a summarizer has the same thing to learn (who did what to whom).

    python train.py --config configs/gazette_mle.py --workdir out/mle --cpu_devices 2
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="mle",
        seed=2,
        steps=1200,
        checkpoint_every=400,
        checkpoint_minutes=4,
        eval_every=400,
        export="last",
        export_dtype="float16",
        data=DataConfig(
            train="gazette:train",
            validation="gazette:validation",
            batch_size=16,
            false_share=0.6,
            false_kinds=("role_exchange", "outcome"),
        ),
        model=ModelConfig(initial="quals_jax/assets/gazette_qagen", dropout=0.0),
        optimizer=OptimizerConfig(
            learning_rate=1e-3,
            warmup_steps=100,
            decay="polynomial",
            decay_start=400,
            beta2=0.98,
            weight_decay=0.01,
            clip_norm=1.0,
        ),
    )
