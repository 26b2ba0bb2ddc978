"""The metric of a job."""

from __future__ import annotations

from quals_jax.errors import UserError
from quals_jax.scoring.job import ScoreJob


def load_quals(job: ScoreJob):
    """QUALS with the job's model, search and precision.

    Raises:
        UserError: where the model cannot be loaded, in one line.
    """
    from quals_jax.qagen import EMBEDDED, QAGen
    from quals_jax.quals import Quals

    if job.model is None and not (EMBEDDED / "config.json").exists():
        raise UserError("there is no embedded model in this copy; name one with --model")
    try:
        qagen = QAGen.from_pretrained(
            job.model, job.tokenizer, job.search, job.dtype, job.batch_size,
            pair_format=job.pair_format, revision=job.revision, kernels=job.kernels,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    return Quals(
        qagen, job.max_pairs or None, job.summary_score, job.long_documents,
        document_answers=job.document_answers or job.f1,
    )  # fmt: skip
