"""`python -m quals_jax distribution`: keeps the QUALS of reference summaries beside a model, so that scores get percentiles.

python score.py --input references.jsonl --model MODEL --output references-scored.jsonl
python -m quals_jax distribution references-scored.jsonl MODEL --of "the validation references of XSUM"
"""

from __future__ import annotations

import json
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax distribution", description=__doc__)
    parser.add_argument("scores", type=Path, help="a finished output of score.py over reference summaries")
    parser.add_argument("model", type=Path, help="the folder of the model that scored them")
    parser.add_argument("--of", required=True, help="what was scored, in words")
    options = parser.parse_args(arguments)
    from quals_jax.checkpoints import load_checkpoint
    from quals_jax.commands.compare import read_scores
    from quals_jax.distribution import same_weights, write_distribution

    scores = [row.quals for row in read_scores(str(options.scores)).values() if row.quals is not None]
    if not scores:
        raise UserError(f"{options.scores}: no summary has a score")
    if not options.model.is_dir():
        raise UserError(f"{options.model}: is no folder")
    record = Path(f"{options.scores}.run.json")
    try:
        made_by = json.loads(record.read_text(encoding="utf-8-sig"))["arguments"]
        signature, weights = made_by["signature"], made_by.get("weights")
        if not isinstance(signature, str):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{record}: is not there or damaged; it stands beside every output of score.py") from None
    try:
        fingerprint = load_checkpoint(options.model).fingerprint
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    if not same_weights(fingerprint, weights, signature):
        raise UserError(
            f"{options.scores}: was scored by other weights ({(weights or signature)[:80]}) than those in {options.model}"
            f" ({fingerprint[:8]}); score the references with that model"
        )
    try:
        path = write_distribution(options.model, options.of, signature, fingerprint, scores)
    except OSError as error:
        raise UserError(f"{error.filename or options.model}: cannot be written ({error.strerror or error})") from None
    print(f"{path}: {len(scores)} scores, median {sorted(scores)[len(scores) // 2]:.3f}")
    return 0
