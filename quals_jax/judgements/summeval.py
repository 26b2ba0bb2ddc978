"""SummEval (Fabbri et al. 2021): 16 systems on the same documents, judged by three experts from 1 to 5 on four questions.

Rows are {"id", "document", "references": [str], "systems": {name: {"sys_summ", "scores": {"consistency", ...}}}}; the scores are the
experts' means, of which a summary need not have all. The article ranks systems; followers also correlate over the summaries of each document.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import read_rows

QUESTIONS = ("coherence", "consistency", "fluency", "relevance")


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    rows = []
    for row in read_rows(path):
        document, name = row.get("document", str), str(row.values.get("id", row.number))
        references = tuple(row.optional("references", list, []))
        if not all(isinstance(reference, str) for reference in references):
            raise ValueError(f"{row.place}: field 'references' must be a list of texts")
        systems = row.get("systems", dict)
        for system in systems:
            own = row.get(system, dict, of=systems)
            scores = row.get("scores", dict, of=own)
            human = row.numbers({question: scores[question] for question in QUESTIONS if question in scores})
            summary = row.get("sys_summ", str, of=own)
            others = row.numbers(scores, without=QUESTIONS)
            rows.append(
                Judged(f"{name}-{system}", name, system, human, None, document, summary, references, recorded=others)
            )
    return Judgements(rows, "consistency", ranked_systems=True, notes=("mean of three experts, 1 to 5",))
