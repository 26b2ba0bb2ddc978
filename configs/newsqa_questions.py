"""A question generator for QAGS: BART-large asks for a given answer, learnt on NewsQA and SQuAD. (The article's learnt on NewsQA alone.)

Source: the learning rate and batch are those of the summarizers here; the article's are not known.

    python train.py --config configs/newsqa_questions.py --workdir out/questions-large
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="questions",
        seed=1,
        steps=20000,
        checkpoint_every=1000,
        eval_every=2000,
        label_smoothing=0.1,
        data=DataConfig(
            train="newsqa:data/newsqa/combined-newsqa-data-v1.json#train squad:data/squad/train-v1.1.json",
            validation="newsqa:data/newsqa/combined-newsqa-data-v1.json#dev",
            batch_size=32,
            max_targets=4,
            max_target_tokens=64,
            source_buckets=(128, 192, 256, 384, 512, 768, 1024),
            target_buckets=(16, 32, 64),
        ),
        model=ModelConfig(initial="facebook/bart-large", dtype="bfloat16"),
        optimizer=OptimizerConfig(learning_rate=3e-5, warmup_steps=500, decay="polynomial"),
    )
