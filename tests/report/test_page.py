"""The report in a real browser: clicks, keys, widths, dark mode, hostile texts, and 5,000 rows."""

import json
import math
import re

import pytest
from browser import PROGRAM, Browser

from quals_jax.report import write_report
from quals_jax.report.page import marked_parts
from quals_jax.report.side_by_side import write_side_by_side
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
    row(3, "Tea was served.", [Pair("What?", "Tea", -0.2)]),
    row(4, "On 15 May it rained hard.", [Pair("Day?", "15", -2.0), Pair("When?", "15 May", -4.0)]),
]


def written(tmp_path, rows, **settings):
    scores, page = tmp_path / "scores.jsonl", tmp_path / "report.html"
    scores.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    settings = {"signature": "model:m | groups:60", "mean": -1.0, "token_text": TOKENS.get} | settings
    write_report(page, scores, **settings)
    return page


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


def test_sorting_and_filtering(page):
    assert page.run(SHOWN) == [4, 0, 1, 3, 2]  # -3, -1.55, -1, -0.2, none
    for order, expected in (("best", [3, 1, 0, 4, 2]), ("input", [0, 1, 2, 3, 4])):
        page.run(f"order.value = '{order}'; order.dispatchEvent(new Event('input'))")
        assert page.run(SHOWN) == expected
    for which, expected in (("bad", [0, 1, 4]), ("none", [2]), ("all", [0, 1, 2, 3, 4])):
        page.run(f"which.value = '{which}'; which.dispatchEvent(new Event('input'))")
        assert page.run(SHOWN) == expected
    page.click("#find")
    page.type("MONDAY")
    assert page.run(SHOWN) == [0] and page.run("document.getElementById('count').textContent") == "1 of 5"
    page.run("find.value = 'id4'; find.dispatchEvent(new Event('input'))")
    assert page.run(SHOWN) == [4]


def test_a_click_on_marked_words_shows_their_questions_and_the_document(page):
    marks = "[...document.querySelectorAll('mark')].map(mark => mark.textContent)"
    assert page.run(marks) == ["15 May", "Monday", "img"]  # a cat is supported; 15 lies within 15 May
    page.click("mark", 1)
    pointed = "[...document.querySelectorAll('.pointed')].map(pair => pair.textContent.replace(/\\s+/g, ' '))"
    assert [text[:26] for text in page.run(pointed)] == ["-3.000 When was it? Monday"]
    assert page.run("document.querySelector('.pointed').checkVisibility()")
    assert page.run("document.querySelector('[open] .document').textContent") == ROWS[0]["document"]
    page.click("mark", 1)
    assert page.run("document.querySelectorAll('[open]').length") == 1  # a second click does not close it
    page.click("mark", 0)
    assert [text[:6] for text in page.run(pointed)] == ["-4.000", "-2.000", "-3.000"]  # by row, the worst first


def test_the_keyboard_reaches_and_opens_everything(page):
    page.run("which.focus()")
    page.press("Tab")
    assert page.run("document.activeElement.tagName") == "SUMMARY"
    page.press("Enter")
    assert page.run("document.activeElement.parentElement.open")
    page.press(" ")
    assert not page.run("document.activeElement.parentElement.open")
    page.press("Tab")
    for key in (" ", "Enter"):
        page.press(key)
        assert page.run("document.activeElement.tagName") == "MARK"
        assert page.run("document.activeElement.closest('details').open"), key
    assert page.run("document.querySelectorAll('.pointed').length") == 2
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Tab")
    assert page.run("document.activeElement.className") == "document"


def test_texts_are_texts(page):
    assert page.run("document.title") == "QUALS report"
    assert page.run("document.scripts.length") == 1 and page.run("document.images.length") == 0
    hostile = "document.querySelector('[data-n=\"1\"]')"
    assert page.run(f"{hostile}.querySelector('.document').textContent") == HOSTILE
    assert HOSTILE in page.run(f"{hostile}.querySelector('.pair').textContent")
    assert page.run(f"{hostile}.querySelector('.soft').textContent") == f"{HOSTILE} · {HOSTILE} · 1 pair"
    assert page.run(f"{hostile}.querySelector('.bars').textContent") == "When </b><script>?"
    assert page.events("Log.entryAdded") == [] and page.events("Runtime.exceptionThrown") == []
    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert len(asked) == 1 and asked[0].startswith("file:")


@pytest.mark.parametrize("width", [390, 800, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_widths_and_colours(browser, tmp_path, width, dark):
    long = row(5, "unbroken" * 60, [Pair("q" * 300, "unbroken" * 60, -5.0)], document="d" * 3000)
    browser.open(written(tmp_path, [*ROWS, long]), width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(row => row.open = true)")
    assert browser.run("document.documentElement.scrollWidth") == width  # nothing sticks out at the side
    beside = browser.run(
        "document.querySelector('.document').getBoundingClientRect().left"
        " - document.querySelector('.pair').getBoundingClientRect().right"
    )
    assert (beside > 0) == (width > 768)
    for selector, background in (("body", "body"), (".soft", "body"), ("mark", "mark"), (".bad", ".row")):
        assert contrast(browser, selector, background) >= 4.5, selector  # WCAG 2.1, level AA
    for bar in (".key i", ".key i + i"):
        colours = [f"getComputedStyle(document.querySelector('{name}')).backgroundColor" for name in (bar, ".row")]
        assert ratio(*map(browser.run, colours)) >= 3, bar  # of what is no text
    luminance = relative_luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert luminance < 0.02 if dark else luminance == 1.0


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
    page.click(".row summary", 1)
    heights = page.run(
        "[...document.querySelectorAll('.row')[1].querySelectorAll('.bars b')].slice(0, 3)"
        ".map(b => [b.style.getPropertyValue('--s'), b.style.getPropertyValue('--d')].map(Number))"
    )
    assert heights == [[1, 1], [3, 14], [1, 91]]  # percent of -10: -0.1; log 0.75 and log 0.25; -9.1
    colours = page.run(
        "['--summary', '--document'].map(name => getComputedStyle(document.documentElement).getPropertyValue(name))"
    )
    assert colours == ["#2f6fde", "#d07016"]
    drawn = page.run(
        "getComputedStyle(document.querySelectorAll('.row')[1].querySelectorAll('.bars b')[2], '::before').backgroundSize"
    )
    assert drawn == "6px 1%, 6px 91%"
    legend = page.run("document.querySelector('.key').textContent")
    assert "log-probability" in legend and "from 0 (certain) down to \u221210" in legend


def test_a_bar_ends_at_the_floor(tmp_path):
    text = written(tmp_path, [row(0, "A cat.", [Pair("Who?", "cat", -9.0)])]).read_text()
    assert re.findall(r"--s:(\d+);--d:(\d+)", text)[2] == ("1", "100")  # -27.1


def test_bars_speak_to_those_who_do_not_see_them(tmp_path):
    text = written(tmp_path, ROWS[:1]).read_text()
    label = "log-probability of each token. When: given the summary -0.10, given the document -0.10; "
    label += "&lt;/b&gt;&lt;script&gt;: given the summary -0.29"
    assert text.count(f'role="img" aria-label="{label}') == 2 and "given the document -9.10" in text


def test_five_thousand_rows(browser, tmp_path):
    texts = ("A cat sat on Monday.", "Tea was served.")
    rows = [
        row(n, texts[n % 2], [Pair("When?", "Monday", -n / 1000), Pair("What?", "Tea", -n / 1000)]) for n in range(5000)
    ]
    browser.open(written(tmp_path, rows))
    assert browser.run("document.querySelectorAll('.row').length") == 5000
    assert browser.run("document.querySelectorAll('details.row').length") == 200
    assert browser.run(SHOWN)[:2] == [4999, 4998]
    seconds = browser.run(
        "(() => { const start = performance.now(); find.value = 'id12'; filter(); order.value = 'best'; sort();"
        " document.body.offsetHeight; return (performance.now() - start) / 1000; })()"
    )
    assert seconds < 5
    assert browser.run(SHOWN)[:3] == [12, 120, 121] and len(browser.run(SHOWN)) == 111


def test_a_page_holds_the_worst_of_very_many(tmp_path):
    text = written(
        tmp_path, [row(n, "Tea.", [Pair("What?", "Tea", -n)]) for n in range(50)], most=10, full=3
    ).read_text()
    assert re.findall(r'data-n="(\d+)"', text) == [str(n) for n in range(40, 50)] and text.count("<details") == 3
    assert "50 summaries" in text and "holds the worst 10" in text


def test_marked_parts_are_the_summary():
    summary = "On 15 May it rained on 15 roofs."
    pairs = [Pair("q", "15", -1.0), Pair("q", "15 May", -2.0), Pair("q", "roofs", -0.4), Pair("q", "rained", -0.6)]
    parts = marked_parts(summary, spans(summary, pairs))
    assert "".join(part["text"] for part in parts) == summary
    assert [part["text"] for part in parts if part["score"] is not None] == ["15 May", "rained"]


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
