"""The paper's MLE summarizer on XSUM: BART-large, fine-tuned by likelihood.

Source: the released launch_xsum.py: learning rate 3e-5 after 500 steps of warm-up and then in effect constant, label
smoothing 0.1, dropout and attention dropout 0.1, weight decay 0.01, clipping at 0.1, 1,024 tokens x 8 GPUs x 4
accumulated; 4 epochs (the candidates of ConSeq come from the checkpoint after the second). Adam is fairseq's.

    python train.py --config configs/xsum_mle.py --workdir out/xsum-mle

Data: `EdinburghNLP/xsum` of the Hugging Face hub, fetched by the package `datasets` (extra `data`). Hardware: 8 x V100 there; one GPU
with 80 GB as it is, or a TPU slice; see docs/training.md.
"""

from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    return TrainConfig(
        kind="mle",
        steps=13_000,  # about four epochs of 204,045 documents
        checkpoint_every=1000,
        eval_every=1000,
        keep=4,
        keep_at_epochs=(2,),
        label_smoothing=0.1,
        data=DataConfig(
            train="hf:EdinburghNLP/xsum#train",
            validation="hf:EdinburghNLP/xsum#validation",
            validation_rows=2000,
            batch_size=128,
            batch_tokens=32_768,
            batch_target_tokens=8_192,
            max_targets=1,
            source_buckets=(256, 512, 1024),
            target_buckets=(64, 128, 256, 1024),
        ),
        model=ModelConfig(
            initial="facebook/bart-large", dropout=0.1, attention_dropout=0.1, dtype="bfloat16", remat=True
        ),
        optimizer=OptimizerConfig(
            name="fairseq_adam", learning_rate=3e-5, warmup_steps=500, weight_decay=0.01, clip_norm=0.1, accumulate=4
        ),
    )
