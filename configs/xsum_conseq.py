"""ConSeq by QUALS on XSUM, with the paper's settings, from the MLE summarizer of `configs/xsum_mle.py`.

Source: the released launch_sagemaker_unlikelihood_xsum.py and its selection script: 6 candidates a document by top-k
sampling (k 50, 10 to 60 tokens), S- from the 30 % of documents with the lowest worst candidate, S+ from the 30 % with the
highest reference, both on the same documents; learning rate 3e-6 without warm-up, 2 epochs, fresh optimizer, label
smoothing 0.1 on both parts, dropout 0.1, clipping at 0.1, 1,024 tokens x 8 GPUs x 4 accumulated. The paper samples from
the MLE checkpoint after the second epoch.

    python train.py --config configs/xsum_conseq.py --workdir out/xsum-conseq --config.scoring.qagen=out/qagen-large/model

By ROUGE instead, from the same candidates: `--config.kind=conseq_rouge --config.candidates.folder=out/xsum-conseq` and
another workdir. Data: as xsum_mle.py. 204,045 documents x (6 + 1) are 1.43 million scores: spread them over many devices,
or take a part with `--config.candidates.rows=20000`. Hardware: one GPU with 80 GB, or a TPU slice.
"""

from quals_jax.recipes.config import CandidateConfig, ConseqConfig, EvaluationConfig, ScoringConfig
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config() -> ConseqConfig:
    return ConseqConfig(
        kind="conseq",
        epochs=2.0,
        checkpoint_every=100,
        label_smoothing=0.1,
        candidates=CandidateConfig(samples=6, k=50, min_length=10, max_length=60),
        scoring=ScoringConfig(qagen="out/qagen-large/model", dtype="bfloat16"),
        evaluation=EvaluationConfig(data="hf:EdinburghNLP/xsum#test", beams=6, min_length=10, max_length=60),
        data=DataConfig(
            train="hf:EdinburghNLP/xsum#train",
            batch_size=128,
            batch_tokens=32_768,
            batch_target_tokens=16_384,
            source_buckets=(256, 512, 1024),
            target_buckets=(64, 128, 256, 1024),
        ),
        model=ModelConfig(
            initial="out/xsum-mle/model", dropout=0.1, attention_dropout=0.1, dtype="bfloat16", remat=True
        ),
        optimizer=OptimizerConfig(
            name="fairseq_adam", learning_rate=3e-6, weight_decay=0.01, clip_norm=0.1, accumulate=4
        ),
    )
