"""The ConSeq recipe in miniature, on Gazette, from the embedded MLE summarizer: `make train`.

As `gazette_conseq.py`, but small on purpose: QUALS from 12 questions instead of 60, 300 documents instead of 600.

    python train.py --config configs/gazette_conseq_miniature.py --workdir out/miniature --cpu_devices 2
"""

from quals_jax.recipes.config import (
    CandidateConfig,
    ConseqConfig,
    EvaluationConfig,
    ScoringConfig,
    SelectionConfig,
)
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config() -> ConseqConfig:
    return ConseqConfig(
        kind="conseq",
        seed=1,
        epochs=4.0,
        checkpoint_every=50,
        export_dtype="float16",
        candidates=CandidateConfig(rows=300, samples=0, beams=6, block_rows=100),
        scoring=ScoringConfig(beams=12),
        selection=SelectionConfig(candidate_ratio=0.9, reference_ratio=0.35, positive="candidate"),
        evaluation=EvaluationConfig(data="gazette:test", rows=300),
        data=DataConfig(
            train="gazette:train",
            batch_size=8,
            false_share=0.6,
            false_kinds=("role_exchange", "outcome"),
            source_buckets=(192, 512),
            target_buckets=(64, 128),
        ),
        model=ModelConfig(initial="quals_jax/assets/gazette_mle", dropout=0.0),
        optimizer=OptimizerConfig(
            name="fairseq_adam", learning_rate=5e-4, warmup_steps=10, weight_decay=0.01, clip_norm=0.1
        ),
    )
