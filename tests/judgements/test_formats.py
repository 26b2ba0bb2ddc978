"""Every format, from made-up rows small enough to aggregate by hand; and the public files, where they are there."""

import gzip
import json

import pytest

from quals_jax.judgements import read

DOCUMENT = "The cat sat on the mat. A dog ate."


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def votes(sentence, *responses):
    return {"sentence": sentence, "responses": [{"worker_id": n, "response": one} for n, one in enumerate(responses)]}


def span(worker, start, end):
    return {"worker": worker, "type": "extrinsic", "text": "-", "start": str(start), "end": str(end)}


QAGS = [
    {
        "article": DOCUMENT,
        "row": 4,
        "summary_sentences": [votes("A cat sat.", "yes", "no", "yes"), votes("It ate.", "no", "no", "yes")],
    },
    {"article": DOCUMENT, "row": 6, "summary_sentences": [votes("A dog ate.", "yes", "yes", "yes")]},
]
FRANK = [
    {
        "hash": "a",
        "model_name": name,
        "dataset": "bbc",
        "Factuality": value,
        "EntE": "0.5",
        "metrics": {"Rouge 1": 0.1, "FactCC": given},
    }
    for name, value, given in (("x", 1.0, 0.9), ("y", "0.5", None))
]  # fmt: skip
SUMMEVAL = [
    {
        "id": "d1",
        "document": DOCUMENT,
        "references": ["A cat sat.", "A cat."],
        "systems": {
            name: {
                "sys_summ": "A cat sat.",
                "scores": {"coherence": 1.5, "consistency": value, "fluency": 5, "relevance": 2},
            }
            for name, value in (("M0", 5.0), ("M1", 3.5))
        },
    }
]
XSUM = [
    {"bbcid": "7", "system": "Gold", "summary": "cats sit", "spans": [], "factual": {}, "document": DOCUMENT},
    {
        "bbcid": "7",
        "system": "PtGen",
        "summary": "a dog\\'s life on mats",
        "spans": [span("w0", 3, 8), span("w1", 1, 13), span("w0", 14, 15)],
        "factual": {"w0": "yes", "w1": "no", "w2": "no"},
        "document": None,
    },
    {"bbcid": "7", "system": "TranS2S", "summary": "no", "spans": [span("w0", 1, 3)],
     "factual": {"w0": "NULL"}, "scores": {"R1": 0.25, "Faithful": 0.6}},
]  # fmt: skip
FIB = [
    {
        "id": "9",
        "document": DOCUMENT,
        "correct": "<t> a cat sat . </t> <t> a dog ate . </t>",
        "choices": [
            {"set": "fib", "source": "bart", "other": "a cat ate ."},
            {"set": "factually_consistent-model_generated", "source": "bart", "other": "a dog ate ."},
            {"set": "mfma", "source": "t5", "other": "a hen ate .", "correct": "a dog ate ."},
        ],
    }
]
GRADED = [
    {
        "id": "g0",
        "document": DOCUMENT,
        "reference": "A cat sat.",
        "random_summary": "Rain fell.",
        "entity_errors": ["A cat sat.", "A hen sat.", "A hen sat."],
        "verb_errors": ["A cat ate.", "A cat fell.", "A cat did not fall."],
    }
]
JUDGED = [
    {"article": DOCUMENT, "summary": "A cat sat.<br/>", "label": "factual", "errors": []},
    {"article": DOCUMENT, "summary": "A hen sat.", "label": "factually incorrect", "errors": ["x"]},
    {"article": DOCUMENT, "summary": "Sat sat.", "label": "too incoherent", "errors": []},
]
SUMMEDITS = [
    {"id": f"e{label}", "doc": DOCUMENT, "summary": "A cat sat.", "label": label, "edit_types": [], "split": "test"}
    for label in (1, 0)
]
RANK19 = [
    {"id": number, "document": "A cat sat .", "correct": "A cat sat .", "incorrect": "A hen sat ."}
    for number in range(2)
]
MADE_UP = {
    "qags": QAGS, "frank": FRANK, "summeval": SUMMEVAL, "xsum-hallucination": XSUM, "fib": FIB, "gofigure": GRADED,
    "summedits": SUMMEDITS, "rank19": RANK19,
}  # fmt: skip


def test_qags_takes_the_majority_of_a_sentence_and_the_mean_of_a_summary(tmp_path):
    path = written(tmp_path / "qags.jsonl", QAGS)
    found = read(f"qags:{path}")
    assert found.human == [0.5, 1] and found.labels is None and [row.id for row in found.rows] == ["4", "6"]
    assert found.rows[0].summary == "A cat sat. It ate." and found.rows[0].document == DOCUMENT
    sentences = read(f"qags:{path}", level="sentence")
    assert sentences.human == [1, 0, 1] and sentences.labels == [True, False, True]
    assert [row.document_id for row in sentences.rows] == ["4", "4", "6"]
    assert sentences.rows[1].summary == "It ate."
    assert read(f"qags:{written(tmp_path / 'one.jsonl', QAGS[1:])}").labels == [True]


def test_frank_has_scores_of_metrics_and_kinds_of_error(tmp_path):
    found = read(f"frank:{written(tmp_path / 'frank.jsonl', FRANK)}")
    assert found.human == [1, 0.5] and found.ranked_systems and found.labels is None
    assert found.rows[0].recorded == {"Rouge 1": 0.1, "FactCC": 0.9} and found.rows[1].recorded == {"Rouge 1": 0.1}
    assert found.rows[0].document is None
    assert read(f"frank:{tmp_path}", judgement="EntE").human == [0.5, 0.5]
    nan = written(tmp_path / "nan.jsonl", [FRANK[0] | {"metrics": {"FactCC": float("nan"), "QAGS": "0.25"}}])
    assert read(f"frank:{nan}").rows[0].recorded == {"QAGS": 0.25}


def test_summeval_has_a_row_for_every_system(tmp_path):
    found = read(f"summeval:{written(tmp_path / 'summeval.jsonl', SUMMEVAL)}")
    assert found.human == [5, 3.5] and [row.system for row in found.rows] == ["M0", "M1"]
    assert found.rows[0].references == ("A cat sat.", "A cat.") and found.ranked_systems
    assert read(f"summeval:{tmp_path}", judgement="coherence").human == [1.5, 1.5]


def test_xsum_hallucination_counts_words_outside_the_marks(tmp_path):
    """Of "a dog's life on mats" w0 marked "dog's" and half of "on", w1 the first three words, w2 nothing: (4 + 2 + 5) / 15."""
    found = read(f"xsum-hallucination:{written(tmp_path / 'x.jsonl', XSUM)}")
    assert found.human == pytest.approx([1, 11 / 15, 0.6])
    assert found.labels == [True, False, True]
    gold, other, last = found.rows
    assert other.summary == "a dog's life on mats" and other.document is None and gold.document == DOCUMENT
    assert other.references == ("cats sit",) and gold.references == ()
    assert last.recorded == {"R1": 0.25}
    factual = read(f"xsum-hallucination:{tmp_path}", judgement="factual")
    assert factual.human == pytest.approx([1, 1 / 3]) and "1 rows without" in factual.notes[-1]


def test_fib_pairs_inconsistent_summaries_with_their_reference(tmp_path):
    found = read(f"fib:{written(tmp_path / 'fib.jsonl', FIB)}")
    assert {row.id: (row.summary, row.label, row.worse_than) for row in found.rows} == {
        "9-correct": ("a cat sat . a dog ate .", True, None),
        "9-0": ("a cat ate .", False, "9-correct"),
        "9-1": ("a dog ate .", True, None),
        "9-correct-1": ("a dog ate .", True, None),
        "9-2": ("a hen ate .", False, "9-correct-1"),
    }


def test_gofigure_has_degrees_and_judged_summaries(tmp_path):
    found = read(f"gofigure:{written(tmp_path / 'graded.jsonl', GRADED)}")
    assert [(row.system, row.human["degree"]) for row in found.rows] == [
        ("reference", 0), ("entity-2", -2), ("verb-1", -1), ("verb-2", -2), ("verb-3", -3), ("random", -4),
    ]  # fmt: skip
    assert "2 texts without a further error" in found.notes[1] and found.rows[1].worse_than == "g0-reference"
    judged = read(f"gofigure:{written(tmp_path / 'judged.jsonl', JUDGED)}")
    assert judged.human == [1, 0] and judged.labels == [True, False] and judged.rows[0].summary == "A cat sat."
    assert "1 summaries too incoherent" in judged.notes[0]


def test_summedits_numbers_its_documents(tmp_path):
    found = read(f"summedits:{written(tmp_path / 'edits.jsonl', SUMMEDITS)}")
    assert found.labels == [True, False] and {row.document_id for row in found.rows} == {"0"}


def test_rank19_has_pairs(tmp_path):
    found = read(f"rank19:{written(tmp_path / 'rank.jsonl', RANK19)}")
    assert [(row.id, row.label, row.worse_than) for row in found.rows[2:]] == [
        ("1-correct", True, None),
        ("1-incorrect", False, "1-correct"),
    ]
    assert {row.document_id for row in found.rows} == {"0"}


def test_compressed_files_and_folders_are_read(tmp_path):
    with gzip.open(tmp_path / "edits.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n\n" for row in SUMMEDITS))
    assert len(read(f"summedits:{tmp_path / 'edits.jsonl.gz'}").rows) == 2
    with pytest.raises(ValueError, match=r"has no \.jsonl file; name one file"):
        read(f"summedits:{tmp_path}")


BAD = {
    "qags": ({"article": DOCUMENT, "summary_sentences": [votes("A.", "maybe")]}, "must be yes or no"),
    "frank": ({"hash": "a", "model_name": "x", "Factuality": "much", "metrics": {}}, 'Factuality\' is "much", not a number'),
    "summeval": ({"id": 1, "document": DOCUMENT, "references": [], "systems": {"M": {"sys_summ": "A."}}}, "has no field 'scores'"),
    "xsum-hallucination": ({**XSUM[1], "summary": 5}, "field 'summary' is 5"),
    "fib": ({"id": 1, "document": DOCUMENT, "correct": "a", "choices": ["b"]}, "'choices' must be a list of objects"),
    "gofigure": ({**GRADED[0], "verb_errors": [1]}, "'verb_errors' must be a list of texts"),
    "rank19": ({"id": 1, "document": "A.", "correct": "A."}, "has no field 'incorrect'"),
    "summedits": ({**SUMMEDITS[0], "label": 3}, "field 'label' is 3; it must be 0 or 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_named(name, tmp_path):
    row, message = BAD[name]
    path = written(tmp_path / "bad.jsonl", [MADE_UP[name][-1], row])
    with pytest.raises(ValueError, match=message) as error:
        read(f"{name}:{path}")
    assert str(error.value).startswith(f"{path}: line 2: ")
    path.write_text("[1]\n")
    with pytest.raises(ValueError, match="line 1: is no JSON object"):
        read(f"{name}:{path}")
    path.write_text("")
    with pytest.raises(ValueError, match="holds no judged summaries"):
        read(f"{name}:{path}")


def test_wrong_words_are_refused(tmp_path):
    path = written(tmp_path / "edits.jsonl", SUMMEDITS)
    with pytest.raises(ValueError, match="one of the formats qags, .*; did you mean summedits"):
        read(f"sumedits:{path}")
    with pytest.raises(ValueError, match="must be FORMAT:PATH"):
        read(str(path))
    with pytest.raises(ValueError, match="is not there"):
        read(f"qags:{tmp_path / 'none.jsonl'}")
    with pytest.raises(ValueError, match="whole summaries; --level sentence"):
        read(f"summedits:{path}", level="sentence")
    with pytest.raises(ValueError, match="level is 'word'"):
        read(f"summedits:{path}", level="word")
    with pytest.raises(ValueError, match="no judgement 'style'; there are consistency"):
        read(f"summedits:{path}", judgement="style")


# What the files' own descriptions say of them: rows, documents, systems.
PUBLIC = {
    "qags:qags-mturk/mturk_cnndm.jsonl": (118, 118, 1),
    "qags:qags-mturk/mturk_xsum.jsonl": (120, 120, 1),
    "frank:frank-metrics": (1688, 375, 9),
    "summeval:summeval": (1200, 75, 16),
    "xsum-hallucination:xsum-hallucination": (1875, 375, 5),
    "fib:fib/xsum.jsonl": (4391 + 375, 375, 6),
    "fib:fib/cnn_dm.jsonl": (1438 + 75, 75, 6),
    "gofigure:gofigure/xsum_human.jsonl": (188 - 18, 170, 1),
    "summedits:summedits-news": (615, 19, 1),
    "rank19:rank19": (2 * 280, 159, 2),
}


@pytest.mark.parametrize("data", PUBLIC)
def test_public_files_are_read_whole(data, shared):
    name, _, path = data.partition(":")
    rows = read(f"{name}:{shared / 'data' / path}").rows
    counts = len(rows), len({row.document_id for row in rows}), len({row.system for row in rows})
    assert counts == PUBLIC[data] and len({row.id for row in rows}) == len(rows)


def test_faithfulness_is_what_was_published_with_the_marks(shared):
    """Worked out from the marks it is the published figure of 97% of the summaries; the others have marks that overlap."""
    from quals_jax.judgements.rows import read_rows
    from quals_jax.judgements.xsum_hallucination import faithful, marked, unescaped

    rows = list(read_rows(shared / "data" / "xsum-hallucination" / "summaries.jsonl"))
    pairs = [
        (faithful(unescaped(row.values["summary"]), marked(row)), row.values["scores"]["Faithful"])
        for row in rows
        if row.values.get("scores")
    ]
    assert len(pairs) == 1492
    assert sum(ours == pytest.approx(theirs, abs=1e-9) for ours, theirs in pairs) >= 0.97 * len(pairs) - 2
    assert all(abs(ours - theirs) < 0.2 for ours, theirs in pairs)


def test_files_may_begin_with_a_byte_order_mark(tmp_path):
    path = written(tmp_path / "mturk_x.jsonl", QAGS)
    expected = read(f"qags:{path}")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = read(f"qags:{path}")
    assert found == expected and len(found.rows) == 2


def test_a_line_that_holds_no_text_is_named(tmp_path):
    """A lone surrogate by its field, another encoding by its line; a byte order mark is nothing."""
    good = json.dumps({"id": "1", "doc": "a", "summary": "s", "label": 1, "edit_types": [], "split": "test"})
    file = tmp_path / "edits.jsonl"
    file.write_text(good + "\n\n" + good.replace('"s"', '"s\\ud800"') + "\n")
    with pytest.raises(ValueError, match=r"edits.jsonl: line 3: field 'summary' holds a lone surrogate"):
        read(f"summedits:{file}")
    file.write_bytes(good.encode() + b"\n" + good.encode().replace(b'"s"', b'"\xe9"'))
    with pytest.raises(ValueError, match=r"edits.jsonl, line 2: is not UTF-8"):
        read(f"summedits:{file}")
    file.write_bytes(b"\xef\xbb\xbf" + good.encode())
    assert len(read(f"summedits:{file}").rows) == 1
