"""Online ConSeq on Gazette: every 50 steps the model of that moment is sampled, scored by QUALS, and unlearns what it writes now.

As many steps, documents and scores as the paper's recipe had on Gazette: six rounds of 333 documents for one of 2,000; 300 steps on
contrasts that come four times. What it gained beside that: `docs/results.md`. S+ is the reference, as in the paper: with the beams that
`gazette_conseq.py` has instead, S- soon differs from S+ in a name alone, and unlearning it spoils the model.

    python train.py --config configs/gazette_conseq_online.py --workdir out/gazette-conseq-online --cpu_devices 2
"""

from quals_jax.recipes.config import (
    CandidateConfig,
    EvaluationConfig,
    OnlineConfig,
    OnlineConseqConfig,
    SelectionConfig,
)
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config() -> OnlineConseqConfig:
    return OnlineConseqConfig(
        seed=1,
        steps=300,
        online=OnlineConfig(every=50, documents=333),
        checkpoint_every=50,
        export_dtype="float16",
        candidates=CandidateConfig(rows=2000),
        selection=SelectionConfig(candidate_ratio=0.9, reference_ratio=0.35),
        evaluation=EvaluationConfig(data="gazette:validation", rows=100),
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
