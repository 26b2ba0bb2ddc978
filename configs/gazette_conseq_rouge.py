"""The baseline on Gazette: ConSeq by ROUGE (mean of ROUGE-1, 2 and L), from the paper's candidates, six samples of every document.

A reference has ROUGE 1 with itself, so the documents whose worst candidate has the lowest ROUGE give both S+ and S-.

    python train.py --config configs/gazette_conseq_rouge.py --workdir out/gazette-conseq-rouge --cpu_devices 2
"""

from quals_jax.recipes.config import CandidateConfig, ConseqConfig, EvaluationConfig
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config() -> ConseqConfig:
    return ConseqConfig(
        kind="conseq_rouge",
        seed=1,
        epochs=4.0,
        checkpoint_every=50,
        export_dtype="float16",
        candidates=CandidateConfig(folder="out/gazette-candidates", rows=2000),
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
