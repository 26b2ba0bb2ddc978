"""An annotator's page in a real browser: filled in by keys and clicks, left and opened again, saved, counted; on a phone too."""

import json
import time

import pytest
from browser import PROGRAM, Browser

from quals_jax.study.page import read_key, write_study
from quals_jax.study.sample import sample
from quals_jax.study.tally import tally

HOSTILE = '<img src=x onerror="document.title = 1"></script><script>document.title = 2</script>'
SHOWN = "[document.querySelector('#left').textContent, document.querySelector('#right').textContent]"
CHECKED = "[...document.querySelectorAll('#questions input:checked')].map(input => input.value)"
NOTE = "document.querySelector('#note').textContent"
# A localStorage of the test's own: on a busy machine Chromium now and then shows a page an empty one, and for a minute goes on to.
STORE = """{
  const kept = new Map(Object.entries(%s));
  const [getItem, setItem] = [name => kept.get(name) ?? null, (name, value) => void kept.set(name, String(value))];
  Object.defineProperty(window, "localStorage", {value: {kept, getItem, setItem, removeItem: name => void kept.delete(name)}});
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def pages(tmp_path):
    """Two annotators, four documents; the system is right where the baseline is not."""
    documents = [f"Document {number}. " + "It went on and on. " * 80 for number in range(3)] + [HOSTILE]
    systems = {
        name: {f"d{number}": (document, f"{name} {number} {HOSTILE}") for number, document in enumerate(documents)}
        for name in ("old", "new")
    }
    study = sample(systems, 4, 3)
    return write_study(study, 2, tmp_path / "study", 3), read_key(tmp_path / "study" / "key.json")


def visit(browser, page, kept="{}", **screen):
    """Opens a page that finds `kept`, JSON of what `leave` returned."""
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=STORE % kept)["identifier"]
    browser.open(page, **screen)
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def leave(browser):
    return browser.run("JSON.stringify(Object.fromEntries(localStorage.kept))")


def save(browser, folder, name):
    """Presses S, and waits for the file."""
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.press("s")
    for _ in range(600):
        if (folder / name).exists() and (folder / name).stat().st_size:
            return folder / name
        time.sleep(0.1)
    raise AssertionError(f"{name} was not saved")


def test_filled_in_by_keyboard_left_and_saved(browser, pages, tmp_path):
    """The system is preferred wherever it stands, all three questions, with the keys 1 and 3; the tally finds it 4 : 0."""
    (page, _), key = pages
    visit(browser, page)
    assert browser.run("document.title") == "Which summary is better?"  # and not what a hostile text would make it
    for number in range(4):
        assert f"Page {number + 1} of 4" in browser.run(NOTE)
        left, right = browser.run(SHOWN)
        assert {left[:3], right[:3]} == {"old", "new"} and left[4:] == right[4:]
        for _ in range(3):
            browser.press("1" if left.startswith("new") else "3")
        assert browser.run(CHECKED) == ["left" if left.startswith("new") else "right"] * 3
        if number == 1:  # away, and back
            visit(browser, page, leave(browser))
            assert "Page 2 of 4; 2 answered" in browser.run(NOTE)
            assert browser.run(SHOWN) == [left, right]
            assert len(browser.run(CHECKED)) == 3
        if number < 3:
            browser.press("Enter")
    assert browser.run(NOTE).startswith("All 4 are answered")
    browser.press("Backspace")
    assert len(browser.run(CHECKED)) == 3
    browser.press("2")  # the first question of the third page after all: equal
    saved = save(browser, tmp_path, "answers-1.json")
    _, numbers = tally([saved], key)
    found = numbers["questions"]
    assert [found["consistency"][name] for name in ("better", "equal", "worse")] == [0.75, 0.25, 0]
    assert found["grammar"]["better"] == 1 and found["grammar"]["ahead"] == 4
    assert not browser.events("Network.requestWillBeSent")[1:]  # the page itself, and nothing else
    assert browser.run("document.title") == "Which summary is better?"


def test_what_is_answered_elsewhere_is_shown_and_kept(browser, pages):
    """Two tabs, or a page that was shown an empty store: neither replaces the other's answers."""
    browser.open(pages[0][1])  # Chromium's own store, within one visit
    browser.run("localStorage.setItem(`${place}:${study.items[2].item}`, JSON.stringify({grammar: 'equal'}))")
    browser.press("1")
    browser.run("dispatchEvent(new StorageEvent('storage', {key: 'quals-study:another:2:at'}))")
    assert browser.run("Object.keys(state.answers).length") == 1  # nothing of this study was told
    browser.run("dispatchEvent(new StorageEvent('storage', {key: `${place}:at`}))")
    assert browser.run("JSON.stringify(Object.values(state.answers)).match(/left|equal/g).sort()") == ["equal", "left"]
    assert browser.run(CHECKED) == ["left"] and "Page 1 of 4" in browser.run(NOTE)
    browser.run("localStorage.clear()")


def test_clicks_on_a_phone_and_answers_of_another_annotator(browser, pages, tmp_path):
    """A narrow screen has everything one above the other, nothing to scroll sideways, and buttons for thumbs."""
    (first, second), key = pages
    visit(browser, first)
    browser.press("1")
    visit(browser, second, leave(browser), width=390, height=800, dark=True)
    assert browser.run(CHECKED) == [] and "Annotator 2" in browser.run(NOTE)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    boxes = browser.run("[...document.querySelectorAll('.summary')].map(e => e.getBoundingClientRect().left)")
    assert boxes[0] == boxes[1]
    assert browser.run("[...document.querySelectorAll('.choices label, button')].every(e => e.offsetHeight >= 44)")
    for question in range(3):
        browser.click("#questions label", 3 * question + 1)
    assert browser.run(CHECKED) == ["equal"] * 3
    assert browser.run("document.querySelector('#back').disabled")
    browser.click("#next")
    assert "Page 2 of 4; 1 answered" in browser.run(NOTE) and browser.run("scrollY") == 0
    saved = json.loads(save(browser, tmp_path, "answers-2.json").read_text())
    assert saved["annotator"] == "2" and saved["study"] == key["study"] and len(saved["answers"]) == 1


def test_labels_can_be_reached_without_a_mouse(browser, pages):
    visit(browser, pages[0][0])
    for _ in range(30):
        browser.press("Tab")
        if browser.run("document.activeElement.name") == "informativeness":
            break
    browser.press(" ")
    assert browser.run("document.querySelector('input[name=informativeness]:checked') !== null")
    browser.press("3")  # digits go to the question that has the focus
    assert browser.run("document.querySelector('input[name=informativeness]:checked').value") == "right"
