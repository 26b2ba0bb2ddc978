"""The report in a real browser: clicks, keys, widths, dark mode, paper, hostile texts, and 5,000 rows."""

import base64
import json
import math
import re
import zlib

import pytest
from browser import PROGRAM, Browser

from quals_jax.report import write_report
from quals_jax.report.page import marked_parts, split_unasked
from quals_jax.report.side_by_side import drawn, marked, write_side_by_side
from quals_jax.spans import spans

HOSTILE = '<script>document.title = "run"</script><img src=x onerror=\'document.title = "run"\'>&amp;"'
TOKENS = {5: "When", 6: " </b><script>", 7: "?"}
SHOWN = "[...document.querySelectorAll('.row')].filter(row => !row.hidden).map(row => Number(row.dataset.n))"


class Pair:
    def __init__(self, question, answer, score):
        self.question, self.answer, self.score = question, answer, score

    def to_json(self):
        document = [-0.1, math.log(0.25), -0.1 + 3 * self.score]
        return vars(self) | {
            "tokens": [5, 6, 7], "document_logprobs": document, "summary_logprobs": [-0.1, math.log(0.75), -0.1]
        }  # fmt: skip


def row(number, summary, pairs, **fields):
    quals = sum(pair.score for pair in pairs) / len(pairs) if pairs else None
    common = {"id": f"id{number}", "summary_index": 0, "quals": quals, "num_pairs": len(pairs), "truncated": False}
    listed = {"pairs": [pair.to_json() for pair in pairs], "spans": spans(summary, pairs)}
    return common | listed | {"document": f"Document {number}. " * 60, "summary": summary} | fields


ROWS = [
    row(0, "A cat sat on Monday.", [Pair("Who sat?", "cat", -0.1), Pair("When was it?", "Monday", -3.0)]),
    row(1, HOSTILE, [Pair(HOSTILE, "img", -1.0)], document=HOSTILE, id=HOSTILE, kind=HOSTILE),
    row(2, "", []),
    row(3, "Tea was served.", [Pair("What?", "Tea", -0.2)], document="The \U0001f375 was hot. A samovar hummed."),
    row(4, "On 15 May it rained hard.", [Pair("Day?", "15", -2.0), Pair("When?", "15 May", -4.0)]),
]
REFERENCES = [-0.5] * 2 + [-0.2] * 98  # 99% reach more than -0.5


def written(tmp_path, rows, **settings):
    page = tmp_path / "report.html"
    scores = tmp_path / "scores.jsonl"
    scores.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    settings = {"signature": "model:m | groups:60", "token_text": TOKENS.get, "reference_scores": REFERENCES} | settings
    write_report(page, scores, **settings)
    return page


def packed(text):
    """All rows that lie compressed in a page."""
    chunks = re.findall(r'class="chunk">([^<]*)<', text)
    contents = [json.loads(zlib.decompress(base64.b64decode(chunk), 31)) for chunk in chunks]
    return [row for content in contents for row in content["rows"]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser, tmp_path):
    browser.open(written(tmp_path, ROWS))
    return browser


def choose(page, which, value):
    page.run(f"{which}.value = {json.dumps(value)}; {which}.dispatchEvent(new Event('input'))")


def search(page, words):
    page.run(f"(find.value = {json.dumps(words)}, filter())")


def test_sorting_and_filtering(page):
    assert page.run(SHOWN) == [4, 0, 1, 3, 2]  # -3, -1.55, -1, -0.2, none
    for order, expected in (("best", [3, 1, 0, 4, 2]), ("input", [0, 1, 2, 3, 4])):
        choose(page, "order", order)
        assert page.run(SHOWN) == expected
    for which, expected in (("bad", [0, 1, 4]), ("good", [3]), ("none", [2]), ("all", [0, 1, 2, 3, 4])):
        choose(page, "which", which)
        assert page.run(SHOWN) == expected


def test_the_search_covers_ids_summaries_questions_answers_and_documents(page):
    for words, expected in (
        ("MONDAY", [0]), ("id4", [4]), ("when was", [0]), ("samovar", [3]), ("15 may", [4]), ("document 2", [2]),
    ):  # fmt: skip
        search(page, words)
        assert page.run(SHOWN) == expected, words
        assert page.run("document.getElementById('count').textContent") == f"{len(expected)} of 5"
        assert not page.run("nothing.checkVisibility()")
    search(page, "zebra")
    assert page.run(SHOWN) == [] and page.run("nothing.checkVisibility()")
    assert page.run("nothing.textContent").startswith("Nothing fits \u201czebra\u201d.")
    page.run("find.value = ''")
    page.click("#find")
    page.type("samo")
    page.run("new Promise(done => setTimeout(done, 50))")
    assert page.run(SHOWN) == [3]


def test_a_click_on_marked_words_shows_their_questions_and_the_document(page):
    marks = "[...document.querySelectorAll('main mark')].map(mark => mark.textContent)"
    assert page.run(marks) == ["15 May", "Monday", "img"]  # a cat is supported; 15 lies within 15 May
    click(page, "main mark", 1)
    pointed = "[...document.querySelectorAll('.pointed')].map(pair => pair.textContent)"
    assert [text[:29] for text in page.run(pointed)] == ["-3.000 When was it? → MondayW"]
    assert page.run("document.querySelector('.pointed').checkVisibility()")
    assert page.run("document.querySelector('.document').textContent") == ROWS[0]["document"]
    click(page, "main mark", 1)
    assert page.run(OPEN) == [0]  # a second click does not close it
    click(page, "main mark", 0)
    assert [text[:6] for text in page.run(pointed)] == ["-4.000", "-2.000", "-3.000"]  # by row, the worst first


OPEN = "[...document.querySelectorAll('.row')].filter(isOpen).map(row => Number(row.dataset.n)).sort()"
SETTLED = "(async () => { do await new Promise(done => setTimeout(done, 30)); while (document.querySelector('[data-opening]')); })()"


def click(page, selector, nth=0):
    """A click after which what it opens is there. Rows that were out of sight get their true height first."""
    page.run(f"document.querySelectorAll('{selector}')[{nth}].scrollIntoView({{block: 'center'}})")
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.click(selector, nth)
    page.run(SETTLED)


def test_the_keyboard_reaches_and_opens_everything(page):
    focused = "(e => e.tagName + '.' + e.className)(document.activeElement)"
    page.run("document.getElementById('jsonl').focus()")
    page.press("Tab")
    assert page.run(focused) == "MARK."
    page.press("Tab")
    assert page.run(focused) == "BUTTON.toggle"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for expected in ([4], []):
        page.press("Enter")
        page.run(SETTLED)
        assert page.run(OPEN) == expected
    page.run("document.querySelector('main mark').focus()")
    page.press(" ")
    page.run(SETTLED)
    assert page.run(OPEN) == [4] and page.run("document.querySelectorAll('.pointed').length") == 2
    page.press("Tab")  # the button of the row
    page.press("Tab")  # the one token of the first pair that can be reached; the arrows reach the others
    readout = "document.querySelector('.readout').textContent"
    assert page.run(readout) == "\u201c?\u201d: given the summary 90% (-0.10), given the document under 0.01% (-12.10)"
    page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))")
    assert (
        page.run(readout) == "\u201c</b><script>\u201d: given the summary 75% (-0.29), given the document 25% (-1.39)"
    )
    assert page.run("document.activeElement.getAttribute('aria-label')").startswith("</b><script>: given the summary")
    page.press("Tab")
    page.press("Tab")
    assert page.run(focused) == "DIV.document"


def test_nothing_that_acts_lies_within_another_that_acts(page):
    page.run("Promise.all(rows.map(({row}) => open(row, true)))")
    acts = ":is(button, a, input, select, summary, [role=button])"
    assert page.run(f"document.querySelectorAll('{acts}').length") > 20
    assert page.run(f"document.querySelectorAll('{acts} {acts}').length") == 0


def test_open_all_opens_what_the_filter_shows(page):
    choose(page, "which", "bad")
    click(page, "#open")
    assert page.run(OPEN) == [0, 1, 4]
    click(page, "#open")
    assert page.run(OPEN) == [] and page.run("document.querySelectorAll('.body:not([hidden])').length") == 0


def test_a_tap_on_a_token_tells_its_numbers(browser, tmp_path):
    browser.open(written(tmp_path, ROWS), width=390)
    click(browser, ".toggle", 1)
    click(browser, ".row:nth-child(2) .bars button", 0)
    told = browser.run("document.querySelector('.row:nth-child(2) .readout').textContent")
    assert told == "\u201cWhen\u201d: given the summary 90% (-0.10), given the document 90% (-0.10)"


def test_texts_are_texts(page):
    page.run("Promise.all(rows.map(({row}) => open(row, true)))")
    assert page.run("document.title") == "QUALS report" and page.run("document.images.length") == 0
    assert page.run("[...document.scripts].filter(script => script.type !== 'text/plain').length") == 1
    hostile = "document.querySelector('[data-n=\"1\"]')"
    assert page.run(f"{hostile}.querySelector('.document').textContent") == HOSTILE
    assert HOSTILE in page.run(f"{hostile}.querySelector('.pair').textContent")
    assert page.run(f"{hostile}.querySelector('.facts').textContent") == f"{HOSTILE} · {HOSTILE} · 1 question"
    assert page.run(f"{hostile}.querySelector('.bars').textContent") == "When </b><script>?"
    assert page.events("Log.entryAdded") == [] and page.events("Runtime.exceptionThrown") == []
    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []


def test_the_filtered_rows_are_exported(page):
    choose(page, "which", "bad")
    rows = [json.loads(line) for line in page.run("jsonl()").splitlines()]
    assert [row["id"] for row in rows] == ["id4", "id0", HOSTILE]
    wanted = ROWS[4] | {"pairs": [pair | {"document_logprobs": pair["document_logprobs"]} for pair in ROWS[4]["pairs"]]}
    assert rows[0]["summary"] == wanted["summary"] and rows[0]["quals"] == wanted["quals"]
    for pair, other in zip(rows[0]["pairs"], wanted["pairs"], strict=True):
        assert pair["document_logprobs"] == pytest.approx(other["document_logprobs"], abs=6e-4)
        assert pair["question"] == other["question"] and pair["tokens"] == other["tokens"]
    lines = page.run("csv()").split("\r\n")
    assert (
        lines[0]
        == '\ufeff"id","summary_index","quals","num_pairs","summary","worst_question","worst_answer","worst_score","document"'
    )
    assert (
        lines[1].startswith('"id4","0","-3","2","On 15 May it rained hard.","When?","15 May","-4",') and len(lines) == 5
    )


@pytest.mark.parametrize("width", [390, 820, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_widths_and_colours(browser, tmp_path, width, dark):
    long = row(5, "unbroken" * 60, [Pair("q" * 300, "unbroken" * 60, -5.0)], document="d" * 3000)
    grouped = [other | {"system": "s" * 80 if n % 2 else "b"} for n, other in enumerate([*ROWS, long])]
    browser.open(written(tmp_path, grouped), width=width, dark=dark)
    browser.run("Promise.all(rows.map(({row}) => open(row, true)))")
    assert browser.run("document.documentElement.scrollWidth") == width  # nothing sticks out at the side
    beside = browser.run(
        "document.querySelector('.document').getBoundingClientRect().left"
        " - document.querySelector('.pair').getBoundingClientRect().right"
    )
    assert (beside > 0) == (width > 768)
    for selector, background in (
        ("body", "body"), (".soft", "body"), (".facts", ".row"), ("mark", "mark"), (".score.bad", ".row"),
    ):  # fmt: skip
        assert contrast(browser, selector, background) >= 4.5, selector  # WCAG 2.1, level AA
    back = colour(browser, "--card")
    for bar in ("--summary", "--document", "--bad", "--frame"):
        assert ratio(colour(browser, bar), back) >= 3, bar  # of what is no text
    luminance = relative_luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert luminance < 0.02 if dark else luminance == 1.0


def colour(browser, name):
    """A variable of the page as red, green and blue."""
    text = browser.run(f"getComputedStyle(document.documentElement).getPropertyValue('{name}')").strip("# ")
    text = text if len(text) == 6 else "".join(letter * 2 for letter in text)
    return "rgb({}, {}, {})".format(*(int(text[place : place + 2], 16) for place in (0, 2, 4)))


def relative_luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(browser, text, background):
    style = "getComputedStyle(document.querySelector('{}')).{}"
    return ratio(browser.run(style.format(text, "color")), browser.run(style.format(background, "backgroundColor")))


def ratio(*colours):
    low, high = sorted(map(relative_luminance, colours))
    return (high + 0.05) / (low + 0.05)


def test_bars_are_log_probabilities(page):
    click(page, ".toggle", 1)
    heights = page.run(
        "[...document.querySelectorAll('.row')[1].querySelectorAll('.bars button')].slice(0, 3)"
        ".map(b => [b.style.getPropertyValue('--s'), b.style.getPropertyValue('--d')].map(Number))"
    )
    assert heights == [[1, 1], [3, 14], [1, 91]]  # percent of -10: -0.1; log 0.75 and log 0.25; -9.1
    drawn = page.run(
        "getComputedStyle(document.querySelectorAll('.row')[1].querySelectorAll('.bars button')[2], '::before').backgroundSize"
    )
    assert drawn == "7px 1%, 7px 91%"
    legend = page.run("document.querySelector('.help').textContent")
    assert "log-probability" in legend and "from 0 down to \u221210" in legend
    click(page, ".toggle", 0)
    lowest = "document.querySelector('.row').querySelectorAll('.bars button')[2].style.getPropertyValue('--d')"
    assert page.run(lowest) == "100"  # -12.1: a bar ends at the floor


def test_what_is_open_is_on_paper_with_its_bars(browser, tmp_path):
    browser.open(written(tmp_path, ROWS), dark=True)
    browser.run("Promise.all(rows.map(({row}) => open(row, true)))")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    try:
        # Without this browsers leave backgrounds out, and bars and marks are backgrounds.
        for selector in (".bars button", "main mark", ".histogram s", ".swatch.striped"):
            assert browser.run(f"getComputedStyle(document.querySelector('{selector}')).printColorAdjust") == "exact"
        assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        shown = "[...document.querySelectorAll('{}')].map(e => e.checkVisibility())"
        assert browser.run(shown.format(".tools, .toggle, .look")) == [False] * 6
        assert browser.run("getComputedStyle(document.querySelector('.document')).overflow") == "visible"
        browser.run("dispatchEvent(new Event('beforeprint'))")
        assert browser.run(shown.format(".bars")) == [True] * 6  # the questions that are folded away too
        assert base64.b64decode(browser.call("Page.printToPDF")["data"]).startswith(b"%PDF")
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def working(browser):
    """Processor seconds of the page's thread so far: what else the machine does is not among them."""
    metrics = browser.call("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "ThreadTime")


def test_five_thousand_rows(browser, tmp_path):
    texts = ("A cat sat on Monday.", "Tea was served.")
    rows = [
        row(n, texts[n % 2], [Pair("When?", "Monday", -n / 1000), Pair("What?", "Tea", -n / 1000)]) for n in range(5000)
    ]
    file = written(tmp_path, rows, shown=5000)
    browser.call("Performance.enable")
    before = working(browser)
    browser.open(file)
    browser.run("document.body.offsetHeight")
    loaded = working(browser)
    loaded -= before if loaded >= before else 0  # another process may have opened the page
    assert browser.run("document.querySelectorAll('.row').length") == 5000
    assert browser.run(SHOWN)[:2] == [4999, 4998]
    before = working(browser)
    browser.run("order.value = 'best'; sort(); document.body.offsetHeight")
    seconds = working(browser) - before
    # 2 s and 0.3 s are asked for, of a clock; processor time is the same there, and on a busy machine up to twice as much.
    assert 0 < loaded < 4 and 0 < seconds < 0.6, (loaded, seconds)
    search(browser, "id12")
    assert browser.run(SHOWN)[:3] == [12, 120, 121] and len(browser.run(SHOWN)) == 111
    search(browser, "document 4321.")
    assert browser.run(SHOWN) == [4321]
    click(browser, ".row:not([hidden]) .toggle")
    assert browser.run("document.querySelector('.document').textContent") == rows[4321]["document"]


def test_a_page_holds_the_worst_of_very_many_and_counts_them_all(tmp_path):
    rows = [row(n, "Tea.", [Pair("What?", "Tea", -n)]) for n in range(250)]
    text = written(tmp_path, rows, shown=220).read_text()
    assert re.findall(r'data-n="(\d+)"', text) == [str(n) for n in range(30, 250)]
    assert [entry["number"] for entry in packed(text)] == list(range(30, 250))
    assert "249 of 250 summaries may say" in text and "holds the worst 220" in text
    assert "QUALS -124.500" in text


def test_rows_may_be_given_as_a_list(tmp_path):
    write_report(
        tmp_path / "list.html",
        ROWS,
        signature="model:m | groups:60",
        token_text=TOKENS.get,
        reference_scores=REFERENCES,
    )
    assert (tmp_path / "list.html").read_bytes() == written(tmp_path, ROWS).read_bytes()


def test_a_page_without_scores_or_rows(browser, tmp_path):
    for rows in ([], [ROWS[2]]):
        browser.open(written(tmp_path, rows, reference_scores=None))
        assert browser.run("document.querySelector('h1').textContent") == "No summary could be scored"
        assert browser.run("document.querySelector('.mean b').textContent") == "QUALS none"
    assert browser.events("Runtime.exceptionThrown") == []


def test_a_group_is_counted_and_shown(browser, tmp_path):
    rows = [other | {"system": "a" if n % 2 else HOSTILE} for n, other in enumerate(ROWS)]
    browser.open(written(tmp_path, rows))
    cells = "[...document.querySelectorAll('.groups tbody tr')].map(row => [...row.children].slice(0, 3).map(cell => cell.textContent))"
    # Rows 0, 2, 4: -1.55, none, -3; rows 1 and 3: -1, -0.2.
    assert browser.run(cells) == [[HOSTILE, "2", "-2.275"], ["a", "2", "-0.600"]]
    click(browser, ".groups button", 1)
    assert browser.run(SHOWN) == [1, 3]
    choose(browser, "group", "*")
    assert len(browser.run(SHOWN)) == 5


def test_the_document_is_marked_through_the_likeliest_sentence(browser, tmp_path):
    asked = []

    def sentences(document, pairs):
        asked.append((document, [pair["question"] for pair in pairs]))
        return [(15, 32)] * len(pairs)

    own = [
        ROWS[3],
        ROWS[0] | {"pairs": [pair | {"document_sentence": [0, 11]} for pair in ROWS[0]["pairs"]]},
        *ROWS[1:3],
    ]
    browser.open(written(tmp_path, own, sentences=sentences, sentence_rows=3))
    # The worst two rows and the third are looked up; a row that knows its sentences is not asked about.
    assert asked == [(ROWS[3]["document"], ["What?"]), (HOSTILE, [HOSTILE])]
    search(browser, "samovar")
    click(browser, ".row:not([hidden]) .toggle")
    assert (
        browser.run("document.querySelector('.document .sentence.shown').textContent") == "A samovar hummed."
    )  # after an emoji
    assert browser.run("document.querySelector('.look').textContent") == "Likeliest in: A samovar hummed."
    search(browser, "monday")
    click(browser, ".row:not([hidden]) .toggle")
    assert browser.run("document.querySelector('.row:not([hidden]) .document .sentence').textContent") == "Document 0."
    assert "sentence in a frame" in browser.run("document.querySelector('.help').textContent")


def test_marked_parts_are_the_summary():
    summary = "On 15 May it rained on 15 roofs."
    pairs = [Pair("q", "15", -1.0), Pair("q", "15 May", -2.0), Pair("q", "roofs", -0.4), Pair("q", "rained", -0.6)]
    parts = marked_parts(summary, spans(summary, pairs), -0.5)
    assert "".join(part["text"] for part in parts) == summary
    assert [part["text"] for part in parts if part["score"] is not None] == ["15 May", "rained"]


def test_what_the_document_answers_is_shown_where_it_is_known(browser, tmp_path):
    (cat, monday) = ROWS[0]["pairs"]
    document = "The \U0001f375 was hot. It was not <b>Friday, and a cat sat. The end."
    start = document.index("<b>Friday")
    told = {
        "document_answer": "<b>Friday",
        "document_answer_logprob": math.log(0.984),
        "document_answer_span": [start, start + 9],
    }
    nothing = {"document_answer": None, "document_answer_logprob": math.log(0.7), "document_answer_span": None}
    own = ROWS[0] | {"pairs": [cat | nothing, monday | told], "document": document}
    asked = []

    def sentences(document, pairs):
        asked.extend(pair["question"] for pair in pairs)
        return [(0, 14)] * len(pairs)

    browser.open(written(tmp_path, [own, ROWS[3]], sentences=sentences))
    assert asked == ["Who sat?", "What?"]  # where the document answers nothing is looked up
    assert browser.run("document.querySelector('.worst').textContent").endswith("; document: <b>Friday")
    browser.run("Promise.all(rows.map(({row}) => open(row, true)))")
    said = "[...document.querySelectorAll('.answered')].map(line => line.textContent)"
    assert browser.run(said) == [
        "summary: Monday; document: <b>Friday (0.98)",
        "summary: cat; document: no answer (0.70)",
    ]
    looks = "[...document.querySelectorAll('.look')].slice(0, 2).map(line => line.textContent)"
    assert browser.run(looks) == [
        "It answers in: It was not <b>Friday, and a cat sat.",
        "Likeliest in: The \U0001f375 was hot.",
    ]
    shown = "[...document.querySelectorAll('.document .sentence.shown')].map(line => line.textContent)[0]"
    assert browser.run(shown) == "It was not <b>Friday, and a cat sat."
    bold = "[...document.querySelectorAll('.document .said')].map(b => [b.textContent, getComputedStyle(b).fontWeight])"
    assert browser.run(bold) == [["<b>Friday", "700"]]
    browser.run("document.querySelectorAll('.look')[1].click()")
    assert browser.run(bold) == [["<b>Friday", "400"]]
    assert browser.run(shown) == "The \U0001f375 was hot."
    assert "is bold" in browser.run("document.querySelector('.help').textContent")


def test_words_that_nothing_asks_about_are_dotted(browser, tmp_path):
    summary = "On 15 May it rained hard."
    own = row(0, summary, [Pair("When?", "15 May", -4.0)], coverage=0.5, unasked=[[3, 5], [13, 19], [20, 24]])
    browser.open(written(tmp_path, [own, *ROWS]))
    dotted = "[...document.querySelectorAll('main .unasked')].map(part => part.textContent)"
    assert browser.run(dotted) == ["rained", "hard"]  # 15 stands in a mark
    assert browser.run("document.querySelector('[data-n=\"0\"] .text').textContent") == summary
    assert "50% of its words asked about" in browser.run("document.querySelector('[data-n=\"0\"] .facts').textContent")
    assert "Dotted words" in browser.run("document.querySelector('.help').textContent")


def test_cutting_out_unasked_words_changes_no_letter():
    parts = [{"text": "a b", "score": None}, {"text": "MARK", "score": -2.0}, {"text": " cc d", "score": None}]
    found = split_unasked(parts, [[8, 10], [0, 1], [2, 6]])
    assert "".join(part["text"] for part in found) == "a bMARK cc d"
    assert [part["text"] for part in found if part.get("unasked")] == ["a", "cc"]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_summaries_side_by_side(browser, tmp_path, width, dark):
    claims = {"supported": ["(rain, on, 15 May)"], "unsupported": [HOSTILE], "well_formed": True}
    systems = {name: [{"id": HOSTILE, "summary": f"{name} {HOSTILE}" * 4, "quals": -1.0} | claims] for name in "ab"}
    write_side_by_side(tmp_path / "page.html", [HOSTILE + "d" * 300], systems, "table " * 50)
    browser.open(tmp_path / "page.html", width=width, dark=dark)
    browser.run("document.querySelector('details').open = true")
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("document.title") == "Summaries side by side" and browser.run("document.images.length") == 0
    assert browser.run("document.querySelector('details p').textContent") == HOSTILE + "d" * 300
    for selector in ("body", "details", ".true", ".false"):
        assert contrast(browser, selector, "body") >= 4.5, selector


def judged(number, name, summary, *, true, formed=True, quals=-1.0):
    """A row of which the word "rain" is a fact; `true` is None for a summary without one."""
    start = summary.find("rain")
    claims = {"supported": [], "unsupported": [], "marks": []}
    if true is not None:
        claims[("unsupported", "supported")[true]] = ["weather: rain"]
        claims["marks"] = [[start, start + 4, true, "weather"]]
    return {"id": f"story-{number}", "summary": summary, "quals": quals, "well_formed": float(formed), **claims}


def side_by_side(tmp_path, count=3, **settings):
    claimant = [judged(n, "conseq", "More rain <b>fell</b>.", true=True, quals=-1 - n / count) for n in range(count)]
    own = [judged(0, "MLE", "It rained rain.", true=False), judged(1, "MLE", "Tea.", true=None, formed=False)]
    own += [judged(n, "MLE", "The rain.", true=True) for n in range(2, count)]
    overview = [
        [
            "",
            "supported",
            "fully true and well-formed",
            "fully true",
            "well-formed",
            "QUALS",
            "ROUGE-1",
            "states no fact",
        ]
    ]
    overview += [
        [name, "94.4", "90.0", "91.0", "93.1", "-0.231", "40.3", "17"] for name in ("references", "MLE", "conseq-1")
    ]
    documents = [f"Document {n}." for n in range(count)]
    table = "all measures " * 40
    write_side_by_side(tmp_path / "page.html", documents, {"MLE": own, "conseq": claimant}, table, overview, **settings)
    return tmp_path / "page.html"


def test_facts_are_marked_in_the_summaries_with_signs_beside_colours(browser, tmp_path):
    browser.open(side_by_side(tmp_path))
    marks = (
        "[...document.querySelectorAll('.summary mark')].map(mark => [mark.textContent, mark.className, mark.title])"
    )
    assert browser.run(marks)[:3] == [
        ["rain", "false", "weather"],
        ["rain", "true", "weather"],
        ["rain", "true", "weather"],
    ]
    cells = browser.run("[...document.querySelectorAll('.summary')].map(cell => cell.textContent)")
    assert cells[:3] == ["It rained rain.", "More rain <b>fell</b>.", "Tea."]
    signs = "['true', 'false'].map(name => getComputedStyle(document.querySelector('.summary mark.' + name), '::after').content)"
    assert [sign[-2] for sign in browser.run(signs)] == ["\u2713", "\u2717"]
    lines = (
        "['true', 'false'].map(n => getComputedStyle(document.querySelector('.summary mark.' + n)).textDecorationStyle)"
    )
    assert browser.run(lines) == ["solid", "wavy"]
    legend = browser.run("document.querySelector('.legend').textContent")
    assert "that the story supports" in legend and "that it does not" in legend
    assert browser.run("document.querySelectorAll('.legend mark').length") == 2
    facts = browser.run("[...document.querySelectorAll('section')].map(part => part.innerText.replace(/\\s+/g, ' '))")
    assert (
        "\u2717 weather: rain" in facts[0]
        and "0 of 1" in facts[0]
        and "states no fact" in facts[1]
        and "\u2717 no" in facts[1]
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_the_chief_measures_are_seen_without_scrolling(browser, tmp_path, width):
    browser.open(side_by_side(tmp_path), width=width, height=700)
    cells = (
        "[...document.querySelectorAll('.overview td')].filter(cell => cell.textContent === '94.4' || cell.textContent === '93.1')"
        ".map(cell => { const box = cell.getBoundingClientRect(); return [box.left >= 0, box.right <= innerWidth, box.bottom <= innerHeight] })"
    )
    assert browser.run(cells) == [[True] * 3] * 6  # supported and well-formed, of all systems
    said = "getComputedStyle(document.querySelector('.overview td:nth-child(2)'), '::before').content"
    assert ("supported" in browser.run(said)) == (width == 390)
    assert browser.run("document.documentElement.scrollWidth") == width
    assert not browser.run("document.querySelector('details').open")


def test_no_score_decides_what_is_seen_first(browser, tmp_path):
    browser.open(side_by_side(tmp_path, count=6))
    shown = "[...document.querySelectorAll('section')].filter(part => !part.hidden).map(part => Number(part.dataset.number))"
    assert browser.run(shown) == [0, 1, 2, 3, 4, 5]
    choose = "(() => {{ const own = document.getElementById('{}'); own.value = '{}'; own.onchange(); }})()"
    browser.run(choose.format("order", "spread"))
    assert browser.run(shown) == [5, 4, 3, 2, 1, 0]  # MLE has -1 throughout, conseq -1 - n / 6
    browser.run(choose.format("order", "number"))
    for value, wanted in (
        ("untrue 0", [0]),
        ("silent 0", [1]),
        ("broken 0", [1]),
        ("untrue 1", []),
        ("", [0, 1, 2, 3, 4, 5]),
    ):
        browser.run(choose.format("show", value))
        assert browser.run(shown) == wanted
        assert browser.run("document.getElementById('count').textContent") == f"{len(wanted)} shown"


def test_of_many_documents_those_are_drawn_that_their_ids_say():
    ids = [f"story-{n}" for n in range(1000)]
    chosen = drawn(ids, 200)
    assert len(chosen) == 200 and chosen == sorted(set(chosen)) and drawn(ids, 200) == chosen
    assert drawn(ids[:50], 200) == list(range(50))
    # Neither the first nor the last: 200 numbers of 1,000 at random have a mean within 3 standard errors, 55, of the middle.
    assert abs(sum(chosen) / 200 - 499.5) < 55
    assert drawn(["same"] * 300, 200) != list(range(200))


def test_parts_of_a_summary_are_the_summary_whatever_the_marks():
    parts = marked("A storm hit.", [[2, 7, True, "what"], [4, 9, False, "inside"], [8, 11, False, "did"]])
    assert "".join(part["text"] for part in parts) == "A storm hit."
    assert [(part["text"], part["supported"]) for part in parts if part["slot"]] == [("storm", True), ("hit", False)]
