"""What the embedded model knows, and what it says of texts that it does not."""

import json
import warnings
from pathlib import Path

import pytest

from quals_jax import gazette
from quals_jax.gazette.words import foreign_share, vocabulary
from quals_jax.world import FOREIGN_DOCUMENT, OutsideWorldWarning, Strangers, outside_gazette

EXAMPLES = Path(__file__).parent.parent / "examples" / "gazette.jsonl"
NEWS = (
    "The museum closed its doors on Friday because the roof leaks. Visitors who bought tickets online will get their money back, a"
    " spokeswoman wrote, and schools may bring their classes when it opens again next spring."
)
NEWS_SUMMARY = "A leaking roof has closed the museum until spring."


def test_gazette_s_words_are_those_of_its_stories():
    """Of every split, also in false summaries and in questions; a genitive is no other word."""
    for split in gazette.SPLITS:
        for story in gazette.stories(31, split, 60):
            texts = [story.document, story.summary, *(c.text for c in story.corruptions)]
            assert all(foreign_share(text) == 0 for text in texts + [q.question for q in story.questions])
            assert not any(outside_gazette(story.document, text) for text in texts[1:])
    assert {"boxing", "million", "strike", "jury"} <= vocabulary() and "museum" not in vocabulary()


def test_shares_of_small_texts():
    assert foreign_share("The champion bakes a scone") == 2 / 4  # bakes, scone; the first word may be a name
    assert foreign_share("CHAMPION OF THE MUSEUM") == 1 / 4
    assert foreign_share("Marlen Tolvik, 12.50!") is None and foreign_share("") is None
    for text in ("警方周一表示，一名男子被捕。", "Полиция сообщила об аресте.", "Die Polizei nahm einen Mann fest."):
        assert outside_gazette(text, "")


def test_real_news_is_another_world(shared):
    rows = [json.loads(line) for line in (shared / "data" / "summeval" / "summeval.jsonl").read_text().splitlines()]
    assert rows and all(foreign_share(row["document"]) > 2 * FOREIGN_DOCUMENT for row in rows)


def test_a_document_longer_than_the_model_reads_is_none_of_gazette():
    story = gazette.story(1, "test", 0)
    assert not outside_gazette(story.document, story.summary)
    assert outside_gazette(story.document, story.summary, truncated=True)
    assert outside_gazette(story.document, NEWS_SUMMARY)


def test_what_is_said_of_a_run():
    counted, story = Strangers(), gazette.story(1, "test", 0)
    assert not counted.add(story.document, story.summary, truncated=False, num_pairs=5) and counted.note("x") is None
    assert counted.add(NEWS, NEWS_SUMMARY, truncated=False, num_pairs=1)
    assert counted.add(story.document, story.summary, truncated=True, num_pairs=0)
    share = round(100 * foreign_share(NEWS) / 2)
    assert counted.note("do this") == (
        "the embedded model knows only Gazette, the generated newspaper, and 2 of 3 summaries are of another world"
        f" ({share}% of the words of their documents are ones that it never uses; documents longer than it reads: 1;"
        " only 0.5 pairs a summary were kept): their scores say nothing; do this"
    )


@pytest.fixture(scope="module")
def embedded():
    """The metric with few beams."""
    import jax

    from quals_jax import QAGen, Quals, SearchConfig

    search = SearchConfig(num_beams=4, max_length=24)
    return lambda: Quals(QAGen.from_pretrained(search=search, batch_size=4, devices=jax.devices()[:1]))


def test_the_library_warns_once_and_marks_the_results(embedded):
    rows = [json.loads(line) for line in EXAMPLES.read_text().splitlines()[:3]]
    quals = embedded()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = quals.score([row["document"] for row in rows], [row["summary"] for row in rows])
    assert not any(result.outside for result in results)
    with pytest.warns(OutsideWorldWarning, match="1 of 2 summaries are of another world") as told:
        results = quals.score([rows[0]["document"], NEWS], [rows[0]["summary"], NEWS_SUMMARY])
        results += quals.score_stream([(NEWS, NEWS_SUMMARY)])
    assert len(told) == 1 and told[0].filename == __file__
    assert [result.outside for result in results] == [False, True, True]
    assert "outside" not in results[1].to_json()


def test_a_corpus_of_another_world_has_no_percentiles_and_no_marks(embedded, tmp_path):
    with pytest.warns(OutsideWorldWarning):
        corpus = embedded().corpus([NEWS], [NEWS_SUMMARY])
    assert "percentile" not in corpus.rows()[0]
    assert "1 of 1 summaries are of another world" in corpus._repr_html_() and "<mark" not in corpus._repr_html_()
    corpus.save_report(f"file://{tmp_path / 'r.html'}")
    page = (tmp_path / "r.html").read_text()
    assert "The embedded model knows only Gazette" in page and "<mark" not in page


def test_only_the_embedded_weights_know_only_gazette(tmp_path):
    import jax
    from tiny_qagen import make_tiny_qagen

    from quals_jax import QAGen
    from quals_jax.qagen import EMBEDDED

    one = jax.devices()[:1]
    (tmp_path / "copy").mkdir()
    for file in EMBEDDED.iterdir():
        if file.name != "quals_distribution.json":
            (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    assert QAGen.from_pretrained(tmp_path / "copy", devices=one).only_gazette
    assert not QAGen.from_pretrained(make_tiny_qagen(tmp_path / "tiny"), devices=one).only_gazette
