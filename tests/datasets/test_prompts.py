"""Prompt files as users write them."""

import json

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets.prompts import Prompt, PromptFile, read_prompts


@pytest.fixture
def read(tmp_path):
    def write_and_read(name, content, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_prompts(path, **options)

    return write_and_read


def test_text_a_line_each(read):
    assert read("p.txt", "a cat\r\n\n  a dog \n") == [
        Prompt("00000", "a cat", row=1),
        Prompt("00001", "a dog", row=3),
    ]


def test_a_line_ends_at_a_line_feed_only(read):
    assert [prompt.text for prompt in read("p.txt", "one\u2028two\nthree\x0cfour")] == ["one\u2028two", "three\x0cfour"]


def test_csv_with_quotes_ids_and_photos(read):
    content = 'image_id,File_Name,CAPTION\n7,7.jpg,"a ""red"", round\nball"\n8,8.jpg,b\n'
    assert read("p.csv", content) == [Prompt("7", 'a "red", round\nball', "7.jpg", 2), Prompt("8", "b", "8.jpg", 3)]


def test_the_byte_order_mark_of_spreadsheets(read):
    assert read("p.csv", b"\xef\xbb\xbfprompt\na cat\n")[0].text == "a cat"


def test_tsv_quoted_as_csv_or_bare(read):
    assert read("p.tsv", 'prompt\tn\n"says ""hi"" now"\t1\n')[0].text == 'says "hi" now'
    assert read("p.tsv", 'prompt\tn\n"STOP" on a sign\t1\nb\t2\n')[0].text == '"STOP" on a sign'
    assert len(read("p.tsv", 'prompt\n"never closed\nb\n')) == 2


def test_json_and_jsonl_of_texts_and_objects(read):
    expected = [Prompt("00000", "a", row=1), Prompt("x", "b", "b.png", 2)]
    items = [{"prompt": "a", "tag": {"n": 1}}, {"id": "x", "prompt": "b", "image": "b.png"}]
    assert read("p.json", json.dumps(items)) == expected
    assert read("p.jsonl", "\n".join(map(json.dumps, items))) == expected
    assert [prompt.text for prompt in read("p.json", '["a", "b"]')] == ["a", "b"]


def test_the_column_can_be_named_and_case_plays_no_part(read):
    assert read("p.csv", "Long,prompt\nx,y\n", column="long")[0].text == "x"
    assert read("p.csv", "text,prompt\nx,y\n")[0].text == "y"


def test_ids_are_kept_as_they_are_and_never_invented_from_text(read):
    prompts = read("p.jsonl", '{"id": 12, "text": "a"}\n{"id": "../../etc", "text": "b"}\n{"text": "c"}')
    assert [prompt.id for prompt in prompts] == ["12", "../../etc", "00002"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", "\n \n", "no prompts in it"),
        ("p.csv", "prompt\n", "no prompts in it"),
        ("p.csv", "", "no prompts in it"),
        ("p.json", "[]", "no prompts in it"),
        ("p.csv", "promt,n\na,1\n", r"no column prompt or .* \(columns: promt, n\); did you mean 'promt'\?"),
        ("p.csv", "a,n\na,1\n", r"\(columns: a, n\); name the one with the prompts 'prompt'"),
        ("p.csv", "prompt,n\na,1\n ,2\n", "row 3: the prompt is empty"),
        ("p.csv", "n,prompt\n1\n", "row 2: the prompt is empty"),
        ("p.csv", "id,prompt\n1,a\n2,b\n1,c\n", "row 4: id '1' was used in row 2; give it its own"),
        ("p.csv", "prompt\na cat, a dog\n", "row 2: 2 cells under 1 columns; put a text that holds the separator into"),
        ("p.csv", 'prompt\n"a" b\n', "line 2: .* put a cell that holds quotes into quotes"),
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": \n', "line 2: not JSON"),
        ("p.jsonl", '{"prompt": "a"}\n[1]\n', r"row 2 is neither a text nor an object: \[1\]"),
        ("p.json", '{"prompt": "a"}', "a list of prompts is expected, not dict"),
        ("p.json", '[{"prompt": 5}]', "row 1: 'prompt' is not a text: 5"),
        ("p.txt", "caf\xe9".encode("latin-1"), "byte 3 is not UTF-8; save the file as UTF-8"),
        ("p.parquet", "", r"prompts are read from .txt, .csv, .tsv, .jsonl, .json files, not '.parquet'"),
    ],
)
def test_mistakes_are_named(read, name, content, message):
    with pytest.raises(BenchError, match=message):
        read(name, content)


def test_a_wrong_column_gets_a_hint(read):
    with pytest.raises(BenchError, match=r"no column captoin .* did you mean 'caption'"):
        read("p.csv", "caption\na\n", column="captoin")


def test_missing_file(tmp_path):
    with pytest.raises(BenchError, match=r"nowhere\.txt: No such file or directory; check the path"):
        read_prompts(tmp_path / "nowhere.txt")


def test_dataset_of_a_file(tmp_path):
    (tmp_path / "p.txt").write_text("a cat")
    dataset = PromptFile(tmp_path / "p.txt")
    assert [prompt.text for prompt in dataset.prompts(tmp_path)] == ["a cat"]
    with pytest.raises(BenchError, match="has no photos"):
        dataset.reference(tmp_path)
    with pytest.raises(BenchError, match="needs a file and none is named"):
        PromptFile().prompts(tmp_path)
