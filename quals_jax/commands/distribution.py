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
    from quals_jax.commands.compare import read_scores
    from quals_jax.distribution import FILE as DISTRIBUTION

    scores = [score for score, _ in read_scores(str(options.scores)).values() if score is not None]
    if not scores:
        raise UserError(f"{options.scores}: no summary has a score")
    if not options.model.is_dir():
        raise UserError(f"{options.model}: is no folder")
    record = Path(f"{options.scores}.run.json")
    try:
        signature = json.loads(record.read_text(encoding="utf-8"))["arguments"]["signature"]
    except (OSError, ValueError, KeyError):
        raise UserError(f"{record}: is not there or damaged; it stands beside every output of score.py") from None
    values = {"what": options.of, "signature": signature, "quals": sorted(round(score, 4) for score in scores)}
    (options.model / DISTRIBUTION).write_text(json.dumps(values) + "\n", encoding="utf-8")
    print(f"{options.model / DISTRIBUTION}: {len(scores)} scores, median {values['quals'][len(scores) // 2]:.3f}")
    return 0
