"""ConSeq by QUALS on CNN/DailyMail, with the paper's settings, from the MLE summarizer of `configs/cnndm_mle.py`.

Source: the released launch_sagemaker_unlikelihood_cnndm.py: learning rate 3e-6 without warm-up, 2 epochs, 1,024 tokens x 8
GPUs, nothing accumulated, the rest as on XSUM. The ratios and lengths of the candidates were not found: the ratios are
XSUM's, the lengths those of the evaluation (beam 4, 55 to 140 tokens).

    python train.py --config configs/cnndm_conseq.py --workdir out/cnndm-conseq --config.scoring.qagen=out/qagen-large/model

By ROUGE instead: `--config.kind=conseq_rouge`. Data: as cnndm_mle.py. Hardware: one GPU with 80 GB, or a TPU slice.
"""

from quals_jax.recipes.config import CandidateConfig, ConseqConfig, EvaluationConfig, ScoringConfig
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config() -> ConseqConfig:
    return ConseqConfig(
        kind="conseq",
        epochs=2.0,
        checkpoint_every=200,
        label_smoothing=0.1,
        candidates=CandidateConfig(samples=6, k=50, min_length=55, max_length=140),
        scoring=ScoringConfig(qagen="out/qagen-large/model", dtype="bfloat16"),
        evaluation=EvaluationConfig(data="hf:abisee/cnn_dailymail/3.0.0#test", beams=4, min_length=55, max_length=140),
        data=DataConfig(
            train="hf:abisee/cnn_dailymail/3.0.0#train",
            batch_size=32,
            batch_tokens=8192,
            batch_target_tokens=8_192,
            source_buckets=(256, 512, 1024),
            target_buckets=(64, 128, 256, 512, 1024),
        ),
        model=ModelConfig(
            initial="out/cnndm-mle/model", dropout=0.1, attention_dropout=0.1, dtype="bfloat16", remat=True
        ),
        optimizer=OptimizerConfig(name="fairseq_adam", learning_rate=3e-6, weight_decay=0.01, clip_norm=0.1),
    )
