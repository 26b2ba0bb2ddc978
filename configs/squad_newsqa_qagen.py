"""The paper's QAGen: BART-large, one question-answer pair from a paragraph of SQuAD v1.1 or a story of NewsQA.

Source: the released data_prepro_clean.py for the data (train: SQuAD train and NewsQA train; validation: SQuAD dev and
NewsQA dev; checkpoint after epoch 2). Its optimizer settings were not found: these are the released MLE recipe's. All
pairs of a text share one encoding here, so 8,192 source tokens hold about as many pairs as the 32,768 of that recipe.

    python train.py --config configs/squad_newsqa_qagen.py --workdir out/qagen-large

Data: data/squad/train-v1.1.json, data/squad/dev-v1.1.json, data/newsqa/combined-newsqa-data-v1.json (not distributed
with the stories: its makers' tool builds it). Hardware: one GPU with 80 GB, or a TPU slice; see docs/training.md.
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig

NEWSQA = "newsqa:data/newsqa/combined-newsqa-data-v1.json"


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="qagen",
        steps=0,
        epochs=2.0,  # of 18,896 paragraphs and 11,469 stories; a dry run says how many steps these are
        checkpoint_every=500,
        eval_every=500,
        label_smoothing=0.1,
        data=DataConfig(
            train=f"squad:data/squad/train-v1.1.json {NEWSQA}#train",
            validation=f"squad:data/squad/dev-v1.1.json {NEWSQA}#dev",
            validation_rows=2000,
            batch_size=64,
            batch_tokens=8192,
            batch_target_tokens=16_384,
            collapse_spaces=True,
            max_targets=8,
            source_buckets=(128, 256, 512, 1024),
            pair_buckets=(1, 4, 8),
            target_buckets=(32, 64, 128, 256, 1024),
        ),
        model=ModelConfig(
            initial="facebook/bart-large", dropout=0.1, attention_dropout=0.1, dtype="bfloat16", remat=True
        ),
        optimizer=OptimizerConfig(
            name="fairseq_adam", learning_rate=3e-5, warmup_steps=500, weight_decay=0.01, clip_norm=0.1
        ),
    )
