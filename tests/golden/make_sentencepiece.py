"""Makes `tests/golden/sentencepiece/spiece.model`: a small SentencePiece model of T5's kind, trained on text of this project.

python tests/golden/make_sentencepiece.py      (with sentencepiece)
"""

import io
from pathlib import Path

import sentencepiece

from quals_jax import gazette

OTHERS = """
¿Quién ganó la copa? El equipo de Lima la ganó en mayo. La señora Núñez habló con los niños.
Où se trouve la mairie ? Elle est à côté de l'église. L'élève a reçu son prix hier.
Der Bürgermeister sprach über die Straße. Wer hat die Wahl gewonnen? Frau Müller gewann sie.
Il sindaco è tornato a casa. Perché la città è così bella? La gente dice che è merito suo.
市長は新しい橋について話した。誰が橋を建てたのか。会社が建てた。
시장은 새 다리에 대해 말했다. 누가 다리를 지었나? 회사가 지었다.
Мэр рассказал о новом мосте. Кто построил мост? Его построила компания.
市长谈到了新桥。谁建造了这座桥?一家公司建造的。
"""

if __name__ == "__main__":
    lines = []
    for story in gazette.stories(seed=1, split="train", count=120):
        pairs = " | ".join(f"question: {one.question}, answer: {one.answer}" for one in story.questions)
        lines += [
            story.document.replace("\n", " "),
            story.summary,
            pairs,
            f"generate question and answer: {story.summary}",
        ]
    lines += OTHERS.strip().splitlines() * 20
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=800, model_type="unigram", character_coverage=1.0,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", normalization_rule_name="nmt_nfkc", num_threads=1,
    )  # fmt: skip
    folder = Path(__file__).parent / "sentencepiece"
    folder.mkdir(exist_ok=True)
    (folder / "spiece.model").write_bytes(model.getvalue())
