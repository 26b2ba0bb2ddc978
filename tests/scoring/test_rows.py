"""Every form of input, and every way in which a row can be wrong."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quals_jax.scoring.rows import Row, RowError, read_parallel, read_rows, single_row


def _write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_jsonl_with_ids_lists_and_other_fields(tmp_path):
    path = _write(
        tmp_path / "a.jsonl",
        '{"document": "d", "summary": "s"}\n\n{"id": "x", "document": "e", "summaries": ["", "t"], "kind": 1}\n',
    )
    assert list(read_rows(path)) == [Row(0, 0, "d", ("s",)), Row(1, "x", "e", ("", "t"), {"kind": 1})]


def test_csv_tsv_and_gzip(tmp_path):
    comma = _write(tmp_path / "a.csv", 'id,document,summary,note\n7,"a, b\nc",s,n\n')
    assert list(read_rows(comma)) == [Row(0, "7", "a, b\nc", ("s",), {"note": "n"})]
    assert list(read_rows(_write(tmp_path / "a.tsv", "document\tsummary\nd\ts\n"))) == [Row(0, 0, "d", ("s",))]
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write('{"document": "d", "summary": "s"}\n')
    assert list(read_rows(str(tmp_path / "a.jsonl.gz"))) == [Row(0, 0, "d", ("s",))]


def test_parallel_files_plain_and_released(tmp_path):
    documents = _write(tmp_path / "d", "one\r\ntwo\n")
    assert [row.summaries for row in read_parallel(documents, _write(tmp_path / "s", "a\n\n"))] == [("a",), ("",)]
    released = _write(tmp_path / "h", '{"summaries": ["a", "b"]}\n{not json}\n')
    assert [row.summaries for row in read_parallel(documents, released)] == [("a", "b"), ("{not json}",)]


def test_parallel_files_of_unequal_length_name_both(tmp_path):
    with pytest.raises(RowError, match=r"s has 1 lines, and .*d has more"):
        list(read_parallel(_write(tmp_path / "d", "one\ntwo\n"), _write(tmp_path / "s", "a\n")))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: is no JSON"),
        ("[1]", "no JSON object but a list"),
        ('{"summary": "s"}', "no field 'document'"),
        ('{"document": "d"}', "no field 'summary'"),
        ('{"document": " ", "summary": "s"}', "field 'document' is empty"),
        ('{"document": 5, "summary": "s"}', "'document' must be a text, not a number"),
        ('{"document": "d", "summary": null}', "'summary' must be a text, not null"),
        ('{"document": "d", "summaries": []}', "at least one, not an empty list"),
        ('{"document": "d", "summaries": ["a", 1]}', r"'summaries\[1\]' must be a text"),
        ('{"document": "d\\u0000", "summary": "s"}', "NUL"),
        ('{"document": "d", "summary": "\\ud800"}', "lone surrogate"),
        ('{"document": "d", "summary": "s", "id": ["\\uDfff"]}', "'id' holds a lone surrogate"),
        ('{"document": "d", "summary": "s", "id": NaN}', "NaN is none of JSON's numbers"),
        ('{"document": "d", "summary": "s", "x": ' + "[" * 950 + "]" * 950 + "}", "nested deeper than 100 levels"),
        ('{"document": "d", "summary": "s", "id": 1e999}', "1e999 is none of JSON's numbers"),
    ],
)
def test_bad_rows_name_line_and_field_and_the_next_is_read(tmp_path, line, message):
    path = _write(tmp_path / "a.jsonl", line + '\n{"document": "d", "summary": "s"}\n')
    error, row = read_rows(path)
    assert isinstance(error, RowError) and "a.jsonl, line 1" in str(error)
    with pytest.raises(RowError, match=message):
        raise error
    assert row == Row(1, 1, "d", ("s",))


def test_files_that_cannot_be_read(tmp_path):
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "none.jsonl", "No such file")):
        with pytest.raises(RowError, match=message):
            list(read_rows(str(path)))
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(b'{"document": "d", "summary": "s"}\n' * 999)[:-9])
    with pytest.raises(RowError, match="cannot be read"):
        list(read_rows(str(tmp_path / "half.jsonl.gz")))
    with pytest.raises(RowError, match="no column 'document'"):
        list(read_rows(_write(tmp_path / "a.csv", "words,summary\na,b\n")))
    (row,) = read_rows(_write(tmp_path / "b.csv", "document,summary\na\n"))
    assert "line 2: has 1 columns, and the header 2" in str(row)


def test_a_line_of_another_encoding_is_one_bad_row(tmp_path):
    good = '{"document": "d", "summary": "s"}\n'
    (tmp_path / "a.jsonl").write_bytes(good.encode() * 200 + b'{"document": "\xe9"}\n' + good.encode())
    rows = list(read_rows(str(tmp_path / "a.jsonl")))
    assert len(rows) == 202 and [type(row) for row in rows].count(RowError) == 1
    assert "a.jsonl, line 201: is not UTF-8" in str(rows[200])


CSV = b"id,document,summary\n1,d,s\n"


@pytest.mark.parametrize(
    ("bad", "messages"),
    [
        (b'"x"y,d,s\n', ["line 3: ',' expected after '\"'"]),
        (b"x,\xe9,s\n", ["line 3: is not UTF-8"]),
        (b"x,d\n\n", ["line 3: has 2 columns, and the header 3"]),
        (b'x,"d,s\n', ["line 3: a quote is opened and never closed"]),
        (b'x,"d\n\xe9 e",s\n', ["line 4: is not UTF-8"]),
        (b'x,"d,s\ny,"e"f",t\n', ["line 3: ',' expected", "line 4: ',' expected"]),
    ],
)
def test_bad_rows_of_a_csv_cost_no_other_row(tmp_path, bad, messages):
    (tmp_path / "a.csv").write_bytes(CSV + bad + b"2,e,t\n3,f,u\n")
    rows = list(read_rows(str(tmp_path / "a.csv")))
    assert [row.id for row in rows if isinstance(row, Row)] == ["1", "2", "3"]
    errors = [row for row in rows if isinstance(row, RowError)]
    assert len(errors) == len(messages)
    assert all(f"a.csv, {message}" in str(error) for error, message in zip(errors, messages, strict=True))


def test_a_quoted_field_keeps_its_line_ends(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'document,summary\r\n"one\r\ntwo\nthree",s\r\nd,t\r\n')
    assert list(read_rows(str(tmp_path / "a.csv"))) == [Row(0, 0, "one\r\ntwo\nthree", ("s",)), Row(1, 1, "d", ("t",))]


def test_quotes_in_a_tsv_swallow_no_line(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b'document\tsummary\n"Yes\ts\n\xe9\ts\nhe said "no"\tt\n')
    first, error, last = read_rows(str(tmp_path / "a.tsv"))
    assert first == Row(0, 0, '"Yes', ("s",)) and last == Row(2, 2, 'he said "no"', ("t",))
    assert "a.tsv, line 3: is not UTF-8" in str(error)


def test_closed_standard_input_is_one_line(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(RowError, match="standard input is closed"):
        list(read_rows("-"))


def test_a_bad_summary_is_placed_in_the_file_of_summaries(tmp_path):
    documents, summaries = _write(tmp_path / "d", "one\n"), _write(tmp_path / "s", '{"summaries": [1]}\n')
    (error,) = read_parallel(documents, summaries)
    assert str(error).startswith(f"{summaries}, line 1: field 'summaries[0]'")


def test_rows_say_how_much_of_the_file_is_read(tmp_path):
    line = json.dumps({"document": "d" * 5000, "summary": "s"}) + "\n"
    shares = [row.share for row in read_rows(_write(tmp_path / "a.jsonl", line * 20))]
    assert shares == sorted(shares) and shares[0] < 0.2 and shares[-1] == 1


def test_a_single_row():
    assert list(single_row("d", "s")) == [Row(0, 0, "d", ("s",))]
    assert isinstance(next(single_row("", "s")), RowError)


@settings(max_examples=50, deadline=None)
@given(
    contents=st.one_of(
        st.binary(max_size=60),
        st.dictionaries(
            st.sampled_from(["document", "summary", "summaries", "id"]),
            st.none() | st.text(max_size=5) | st.lists(st.integers()),
        ).map(lambda v: json.dumps(v).encode()),
    ),
    suffix=st.sampled_from(["", ".csv", ".tsv"]),
)
def test_whatever_a_file_holds_is_rows_or_one_line_errors(tmp_path_factory, contents, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"x.jsonl{suffix}"
    path.write_bytes(contents)
    try:
        for row in read_rows(str(path)):
            assert isinstance(row, Row) or "x.jsonl" in str(row)
    except RowError as error:
        assert "x.jsonl" in str(error)


def test_rows_of_many_fields_are_not_deep(tmp_path):
    fields = {"kind": [[number] for number in range(500)], "deep": eval("[" * 98 + "]" * 98)}
    (row,) = read_rows(_write(tmp_path / "a.jsonl", json.dumps({"document": "d", "summary": "s"} | fields)))
    assert row.fields == fields


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_column_named_twice_is_refused(tmp_path, name):
    """Which of the two was meant nobody knows; the last was taken."""
    text = "document,summary,note,summary\nd,s,n,t\n".replace(",", "," if name.endswith("csv") else "\t")
    with pytest.raises(RowError, match=rf"{name}, line 1: the header has 'summary' 2 times"):
        list(read_rows(_write(tmp_path / name, text)))


def test_a_field_named_twice_is_refused(tmp_path):
    path = _write(tmp_path / "a.jsonl", '{"document": "d", "summary": "s", "summary": "t"}\n')
    (error,) = read_rows(path)
    with pytest.raises(RowError, match=r"a\.jsonl, line 1: is no JSON \(field 'summary' stands there twice\)"):
        raise error


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", b'{"document": "d", "summary": "s"}\n'),
        ("a.csv", b"document,summary\nd,s\n"),
        ("a.tsv", b"document\tsummary\nd\ts\n"),
    ],
)
def test_a_byte_order_mark_is_no_text(tmp_path, name, text):
    (tmp_path / name).write_bytes(BOM + text)
    assert list(read_rows(str(tmp_path / name))) == [Row(0, 0, "d", ("s",))]
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(BOM + text))
    assert list(read_rows(str(tmp_path / f"{name}.gz"))) == [Row(0, 0, "d", ("s",))]


def test_parallel_files_may_begin_with_a_byte_order_mark(tmp_path):
    for name, text in (("d", b"d\n"), ("s", b"s\n"), ("r", b'{"summaries": ["s"]}\n')):
        (tmp_path / name).write_bytes(BOM + text)
    for summaries in ("s", "r"):
        found = list(read_parallel(str(tmp_path / "d"), str(tmp_path / summaries)))
        assert found == [Row(0, 0, "d", ("s",))]
