"""Files as people have them: names of columns, dialects of tables, encodings, arrays, Parquet, saved data sets, several at once."""

import bz2
import gc
import gzip
import io
import json
import lzma

import pytest

from quals_jax.errors import UserError
from quals_jax.scoring.blocks import RowSource, read_blocks
from quals_jax.scoring.columns import PAIRS, Columns
from quals_jax.scoring.rows import Row, RowError, read_files, read_rows


def read(path, data, **named):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    told = []
    return list(read_rows(str(path), tell=told.append, **named)), told


@pytest.mark.parametrize("pair", [pair for pair in PAIRS[2:] if pair[1] != "summaries"])
def test_pairs_that_go_together_are_found_and_told(tmp_path, pair):
    names = [name.title() for name in pair]
    (row,), told = read(tmp_path / "a.jsonl", json.dumps({"Id": 5, names[0]: "d", names[1]: "s"}))
    assert (row.document, row.summaries, row.fields) == ("d", ("s",), {"Id": 5})
    assert len(told) == 1 and all(repr(name) in told[0] for name in names)


def test_the_usual_names_are_taken_without_a_word(tmp_path):
    (row,), told = read(tmp_path / "a.jsonl", '{"document": "d", "summary": "s", "article": "x", "highlights": "y"}')
    assert row == Row(0, 0, "d", ("s",), {"article": "x", "highlights": "y"}) and told == []


def test_columns_by_name_go_before_all(tmp_path):
    line = (
        '{"document": "old", "a": "d", "summary": "old", "summaries": ["old"], "b": "s", "id": 1, "n": "x", "kind": 2}'
    )
    (row,), _ = read(tmp_path / "a.jsonl", line, columns=Columns("a", "b", "n"))
    assert row == Row(0, "x", "d", ("s",), {"kind": 2})
    (row,), told = read(tmp_path / "a.jsonl", line, columns=Columns(document="a"))
    assert (row.document, row.summaries) == ("d", ("old",)) and len(told) == 1


def test_a_missing_field_lists_those_there_are(tmp_path):
    (error,), _ = read(tmp_path / "a.jsonl", '{"document": "d", "correct": "s", "choices": []}')
    assert str(error).endswith(
        "a.jsonl, line 1: has no field 'summary' (or 'summaries'); it has 'document', 'correct', 'choices': name the two with"
        " --document_column and --summary_column"
    )
    (error,), _ = read(tmp_path / "a.jsonl", '{"document": "d", "summary": "s"}', columns=Columns("x", "summary"))
    assert "has no field 'x'; it has 'document', 'summary'" in str(error)
    with pytest.raises(RowError, match=r"no column 'x'; it has 'document', 'summary'"):
        read(tmp_path / "a.csv", "document,summary\nd,s\n", columns=Columns("x"))


def test_forms_of_summaries_in_public_sets(tmp_path):
    judged = {"article": "d", "summary_sentences": [{"sentence": "One."}, {"sentence": "Two."}]}
    assert read(tmp_path / "a.jsonl", json.dumps(judged))[0][0].summaries == ("One. Two.",)
    systems = {"document": "d", "systems": {"M1": {"sys_summ": "a"}, "M2": {"sys_summ": "b"}}}
    assert read(tmp_path / "a.jsonl", json.dumps(systems), columns=Columns(summary="systems"))[0][0].summaries == (
        "a",
        "b",
    )


CELLS = [["id", "document", "summary"], ["1", 'a, b; "c"\t\nd', "s"], ["2", "Zürich", "t, u; v"]]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".txt", ""])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", ["minimal", "all"])
def test_dialects_of_tables(tmp_path, suffix, delimiter, quoting):
    import csv

    if suffix == ".tsv" and delimiter != "\t":
        pytest.skip("no TSV")
    text = io.StringIO()
    csv.writer(
        text,
        delimiter=delimiter,
        quoting=csv.QUOTE_ALL if quoting == "all" else csv.QUOTE_MINIMAL,
        lineterminator="\r\n",
    ).writerows(CELLS)
    data = b"\xef\xbb\xbf" + text.getvalue().encode()
    rows, told = read(tmp_path / f"a{suffix}", gzip.compress(data) if suffix.endswith(".gz") else data)
    assert rows == [Row(n, *cells[:2], (cells[2],)) for n, cells in enumerate(CELLS[1:])] and told == []


def test_quotes_of_an_unquoted_tsv_stay(tmp_path):
    rows, _ = read(tmp_path / "a.tsv", 'document\tsummary\n"Yes," he said.\t"No"\n"all"\t"whole"\n')
    assert [(row.document, row.summaries[0]) for row in rows] == [('"Yes," he said.', '"No"'), ('"all"', '"whole"')]


@pytest.mark.parametrize(("encoding", "named"), [("cp1252", "cp1252"), ("utf-16", None), ("utf-16-le", "utf-16-le")])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_encodings(tmp_path, encoding, named, suffix):
    between = "\t" if suffix == "tsv" else ","
    text = f"document{between}summary\nZürich – “x”{between}é\n"
    if suffix == "jsonl":
        text = json.dumps({"document": "Zürich – “x”", "summary": "é"}, ensure_ascii=False) + "\n"
    rows, _ = read(tmp_path / f"a.{suffix}", text.encode(encoding), encoding=named)
    assert rows == [Row(0, 0, "Zürich – “x”", ("é",))]


def test_another_encoding_is_told_with_its_cure(tmp_path):
    (error,), _ = read(tmp_path / "a.csv", "document,summary\nZ\xfcrich,s\n".encode("latin-1"))
    assert "line 2: is not UTF-8" in str(error) and "--encoding" in str(error)
    with pytest.raises(RowError, match="is not ascii"):
        read(tmp_path / "a.jsonl", '{"document": "ü", "summary": "s"}', encoding="ascii")


ROWS = [{"document": "d", "summary": "s"}, {"id": "x", "document": "e", "summaries": ["t", "u"]}, {"document": ""}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt"])
def test_an_array_is_rows(tmp_path, indent, name):
    (first, second, bad), _ = read(tmp_path / name, json.dumps(ROWS, indent=indent))
    assert (first, second) == (Row(0, 0, "d", ("s",)), Row(1, "x", "e", ("t", "u")))
    assert f"{name}, item 3: has no field 'summary'" in str(bad)


def test_an_object_over_many_lines_is_a_row_or_holds_them(tmp_path):
    assert read(tmp_path / "a.json", json.dumps(ROWS[0], indent=1))[0] == [Row(0, 0, "d", ("s",))]
    assert read(tmp_path / "a.json", json.dumps({"version": 1, "data": ROWS[:2]}, indent=1))[0][1].id == "x"
    with pytest.raises(RowError, match=r"a\.json: is no JSON"):
        read(tmp_path / "a.json", '[{"document": "d"},\n{')


@pytest.mark.parametrize("data", [b"article;highlights\nd;s\n", b'[{"article": "d", "highlights": "s"}]'])
def test_standard_input_may_be_a_table_or_an_array(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert list(read_rows("-")) == [Row(0, 0, "d", ("s",))]


@pytest.mark.parametrize("form", ["parquet", "arrow", "stream", "saved", "splits"])
def test_columnar_forms(tmp_path, form):
    datasets = pytest.importorskip("datasets")
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values = {"article": ["d"] * 600, "highlights": ["s", *["t"] * 599], "id": list(range(600)), "tags": [["a"]] * 600}
    table, path = pyarrow.table(values), tmp_path / "a.arrow"
    if form == "parquet":
        path = tmp_path / "a.parquet"
        parquet.write_table(table, path)
    elif form in ("arrow", "stream"):
        new = pyarrow.ipc.new_file if form == "arrow" else pyarrow.ipc.new_stream
        with new(str(path), table.schema) as file:
            file.write_table(table)
    else:
        saved = datasets.Dataset.from_dict(values)
        (saved if form == "saved" else datasets.DatasetDict(train=saved, test=saved.select([0]))).save_to_disk(path)
    if form == "splits":
        with pytest.raises(RowError, match=r"has the splits train, test; name one as .*#train"):
            list(read_rows(str(path)))
        path = f"{path}#train"
    told = []
    rows = list(read_rows(str(path), tell=told.append))
    assert len(rows) == 600 and rows[0] == Row(0, 0, "d", ("s",), {"tags": ["a"]}) and rows[599].id == 599
    assert len(told) == 1 and "'highlights'" in told[0]


def test_a_damaged_parquet_file_is_one_line(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(RowError, match=r"a\.parquet: cannot be read"):
        read(tmp_path / "a.parquet", b"PAR1nothing")


def test_several_files_are_one_input(tmp_path):
    paths = []
    for number in range(3):
        paths.append(str(tmp_path / f"{number}.jsonl"))
        (tmp_path / f"{number}.jsonl").write_text((json.dumps({"document": "d", "summary": str(number)}) + "\n") * 2)
    rows = list(read_files(paths, Columns()))
    assert [(row.number, row.id, row.summaries[0]) for row in rows] == [(n, n, str(n // 2)) for n in range(6)]
    assert [row.share for row in rows] == sorted(row.share for row in rows) and rows[-1].share == 1
    blocks = list(read_blocks(RowSource(input=paths, block_rows=4)))
    assert [len(block.rows) for block in blocks] == [4, 2]
    for path in paths:
        open(path, "w").close()
    with pytest.raises(UserError, match=r"0\.jsonl, .*2\.jsonl: holds no rows"):
        list(read_blocks(RowSource(input=paths)))


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nid;document;summary\r\n1;a, b;c\r\n",  # Excel's line for itself
        '\ufeff"sep=;"\r\n"id";"document";"summary"\r\n"1";"a, b";"c"\r\n',
        'id, document, summary\n1, "a, b", c\n',
        'id,document,summary\r1,"a, b",c\r',  # line ends of old Macs
        'id,document,summary\n1,"a, b",c\n,,\n\n, ,\n',  # rows in which nothing stands
        'id,document,summary\n1,"a, b",c,,\n',
    ],
)
def test_spreadsheets_tables(tmp_path, text):
    rows, told = read(tmp_path / "a.csv", text)
    assert rows == [Row(0, "1", "a, b", ("c",))] and told == []


def test_columns_without_a_name(tmp_path):
    """A table with empty columns at its end, and one with an index of pandas's; a cell that is too many is no empty one."""
    rows, _ = read(tmp_path / "a.csv", "document,summary,,\na,b,,\nc,d\ne,f,,g\nh\ni,j,,,k\n")
    assert [row.fields for row in rows if isinstance(row, Row)] == [
        {"column 3": "", "column 4": last} for last in ("", "", "g")
    ]
    errors = [str(row).partition("a.csv, ")[2] for row in rows if isinstance(row, RowError)]
    assert errors == ["line 5: has 1 columns, and the header 4", "line 6: has 5 columns, and the header 4"]
    assert read(tmp_path / "a.csv", ",document,summary\n7,a,b\n")[0][0].fields == {"": "7"}


def test_lines_are_counted_with_the_one_that_states_the_delimiter(tmp_path):
    rows, _ = read(tmp_path / "a.csv", b"sep=;\r\ndocument;summary\r\na;b;c\r\n\xe9;d\r\n")
    assert ["line 3: has 3" in str(rows[0]), "line 4: is not UTF-8" in str(rows[1])] == [True, True]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "A.JSONL.XZ", "a.jsonl.bz2", "-"])
@pytest.mark.parametrize("packer", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_packed_is_unpacked_whatever_its_name(tmp_path, monkeypatch, packer, name):
    data = packer(b'{"document": "d", "summary": "s"}\n' * 3)
    if name == "-":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        rows = list(read_rows("-"))
    else:
        rows, _ = read(tmp_path / name, data)
        assert all(0 < row.share <= 1 for row in rows)
    assert [row.document for row in rows] == ["d"] * 3
    if name != "-":
        with pytest.raises(RowError, match=r"cannot be read|after line"):
            for row in read(tmp_path / name, data[: len(data) // 2])[0]:
                assert isinstance(row, Row)


@pytest.mark.parametrize(
    ("start", "cure"),
    [
        (b"PK\x03\x04", "as CSV"),
        (b"\x28\xb5\x2f\xfd", "unpack it"),
        (b"PAR1", "end in .parquet"),
        (b"ARROW1\0\0", "end in .arrow"),
    ],
)
def test_what_is_no_text_is_told_with_its_cure(tmp_path, start, cure):
    for name in ("a.csv", "a.xlsx", "a"):
        with pytest.raises(RowError, match=cure):
            read(tmp_path / name, start + bytes(range(256)))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.tsv"])
def test_utf_16_and_32_with_and_without_a_mark(tmp_path, name, capfd):
    text = 'document,summary\n"a, ü",b\n'.replace(",", "\t" if name == "a.tsv" else ",", 1)
    if name != "a.csv":
        text = {"a.tsv": "document\tsummary\na, ü\tb\n", "a.jsonl": '{"document": "a, ü", "summary": "b"}\n'}[name]
    for encoding in ("utf-16", "utf-32"):
        assert read(tmp_path / name, text.encode(encoding))[0] == [Row(0, 0, "a, ü", ("b",))]
        with pytest.raises(RowError, match="--encoding"):
            read(tmp_path / name, text.encode(f"{encoding}-le"))
    with pytest.raises(RowError):  # and nothing is said but this, however early the reading stops
        read(tmp_path / name, b"\xff\xfe" + ("x,y\n" * 9).encode("utf-16-le"), columns=Columns("d", "s"))
        raise RowError("of a row")
    gc.collect()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "table",
    [
        {"document": {"0": "a", "1": "b"}, "summary": {"0": "c", "1": "d"}},
        {"document": ["a", "b"], "summary": ["c", "d"]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_columns_as_pandas_writes_them_are_rows(tmp_path, table, indent):
    rows, _ = read(tmp_path / "a.json", json.dumps(table, indent=indent))
    assert rows == [Row(0, 0, "a", ("c",)), Row(1, 1, "b", ("d",))]


def test_a_parquet_file_of_all_kinds_of_columns(tmp_path):
    """Dates, decimals, bytes and missing numbers become what JSON has; the output must hold them."""
    pyarrow = pytest.importorskip("pyarrow")
    import datetime
    import decimal

    from pyarrow import parquet

    when = datetime.datetime(2024, 2, 29, 12, 30)
    columns = {
        "document": ["d"], "summary": ["s"], "when": [when], "day": [when.date()], "price": [decimal.Decimal("1.25")],
        "raw": [b"\xff\x00"], "gone": [float("nan")], "most": [float("inf")], "deep": [[{"at": when}]], "n": [3],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    (row,) = read_rows(str(tmp_path / "a.parquet"))
    assert row.fields == {
        "when": "2024-02-29T12:30:00", "day": "2024-02-29", "price": 1.25, "raw": "/wA=", "gone": None, "most": "inf",
        "deep": [{"at": "2024-02-29T12:30:00"}], "n": 3,
    }  # fmt: skip
    json.dumps(row.fields, allow_nan=False)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_columnar_file_that_names_a_column_twice_is_refused(tmp_path, suffix):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table([["d"], ["s"], ["t"]], names=["document", "summary", "summary"])
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        parquet.write_table(table, path)
    else:
        with pyarrow.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)
    with pytest.raises(RowError, match="has 'summary' 2 times"):
        list(read_rows(str(path)))


def test_saved_sets_without_rows_are_one_line(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.DatasetDict({}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(RowError, match="has no splits"):
        list(read_rows(str(tmp_path / "splits")))
