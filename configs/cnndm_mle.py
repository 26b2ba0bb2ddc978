"""The paper's MLE summarizer on CNN/DailyMail: BART-large, fine-tuned by likelihood.

Source: the released launch_cnndm.py: learning rate 3e-5 from the first step, in effect constant, label smoothing 0.1,
dropout and attention dropout 0.1, weight decay 0.01, clipping at 0.1, 1,024 tokens x 8 GPUs, nothing accumulated;
4 epochs. Adam is fairseq's.

    python train.py --config configs/cnndm_mle.py --workdir out/cnndm-mle

Data: `abisee/cnn_dailymail` of the Hugging Face hub, fetched by the package `datasets` (extra `data`). Hardware: 8 x V100 there;
one GPU with 80 GB, or a TPU slice; see docs/training.md.
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="mle",
        steps=112_000,  # about four epochs of 287,113 documents, most of which are cut at 1,024 tokens
        checkpoint_every=2000,
        eval_every=4000,
        keep=4,
        label_smoothing=0.1,
        data=DataConfig(
            train="hf:abisee/cnn_dailymail/3.0.0#train",
            validation="hf:abisee/cnn_dailymail/3.0.0#validation",
            validation_rows=2000,
            batch_size=32,
            batch_tokens=8192,
            batch_target_tokens=4_096,
            max_targets=1,
            source_buckets=(256, 512, 1024),
            target_buckets=(64, 128, 256, 512, 1024),
        ),
        model=ModelConfig(
            initial="facebook/bart-large", dropout=0.1, attention_dropout=0.1, dtype="bfloat16", remat=True
        ),
        optimizer=OptimizerConfig(name="fairseq_adam", learning_rate=3e-5, weight_decay=0.01, clip_norm=0.1),
    )
