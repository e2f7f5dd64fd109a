import itertools
import json

import datasets
import httpx2
import pytest
from datasets.exceptions import DatasetNotFoundError

from workbench.errors import ConfigError
from workbench.tasks import prompts
from workbench.tasks.prompts import examples_forever, load_examples

ROWS = [{"prompt": "二十五加七十三等于？😀", "target": "98"}, {"prompt": "23+47=?", "target": "70"}]
MESSAGES = [{"prompt": [{"role": "user", "content": "你好"}], "target": "1"}]


def write(folder, kind, rows):
    path = folder / f"提示.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(rows), encoding="utf-8-sig")
    elif kind == "csv":
        datasets.Dataset.from_list(rows).to_csv(path)
    elif kind == "parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    return str(path)


def nested(levels):
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_rows_round_trip_with_their_columns(tmp_path, kind):
    loaded = load_examples(write(tmp_path, kind, ROWS))
    assert [{**row, "target": str(row["target"])} for row in loaded] == ROWS


def test_parquet_and_messages_round_trip(tmp_path):
    assert load_examples(write(tmp_path, "parquet", ROWS)) == ROWS
    for kind in ("jsonl", "json", "parquet"):
        assert load_examples(write(tmp_path, kind, MESSAGES)) == MESSAGES


def test_a_folder_saved_by_datasets_is_read_by_split(tmp_path):
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"test": datasets.Dataset.from_list(MESSAGES)}).save_to_disk(tmp_path / "many")
    assert load_examples(str(tmp_path / "one")) == ROWS
    assert load_examples(str(tmp_path / "many"), split="test") == MESSAGES
    with pytest.raises(ConfigError, match="no split 'train'; its splits are test"):
        load_examples(str(tmp_path / "many"))
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match="was not saved by datasets"):
        load_examples(str(tmp_path / "other"))


def test_another_column_may_hold_the_prompt_and_missing_cells_are_none(tmp_path):
    path = write(tmp_path, "jsonl", [{"question": "a", "x": 1}, {"question": "b"}])
    loaded = load_examples(path, prompt_column="question")
    assert loaded == [{"question": "a", "x": 1, "prompt": "a"}, {"question": "b", "x": None, "prompt": "b"}]


def test_lists_within_lists_and_characters_beyond_the_first_plane_are_taken(tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"prompt": "\\ud83d\\ude00", "x": {nested(100)}}}')
    [example] = load_examples(str(tmp_path / "a.jsonl"))
    assert example["prompt"] == "😀" and str(example["x"]) == nested(100)


@pytest.mark.parametrize("text", [",prompt,target\n0,a,1\n1,b,2\n", "prompt,target,\na,1,\nb,2,\n"])
def test_a_column_of_a_table_without_a_name_is_left_out(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    rows = [{"prompt": "a", "target": "1"}, {"prompt": "b", "target": "2"}]
    assert load_examples(str(tmp_path / "a.csv")) == rows


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", '{"question": "a", "target": 1}', "no column 'prompt'; its columns are question, target"),
        ("a.jsonl", "", "is empty"),
        ("a.json", "[]", "is empty"),
        ("a.csv", "prompt,target\n", "is empty"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt": 7}', "row 2 .* is a int; .*string or a list of messages"),
        ("a.jsonl", '{"prompt": "a"}\n{"target": 7}', "row 2 .* is a NoneType"),
        ("a.jsonl", '{"prompt": ""}', "row 1 .* is empty"),
        ("a.jsonl", '{"prompt": []}', "row 1 .* is empty"),
        ("a.jsonl", '{"prompt": [{"role": "user"}]}', "row 1 .* is a list; .*role and content"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt"', "line 2 .* is not JSON"),
        ("a.jsonl", '["a"]', "row 1 .* is a list, not an object"),
        (
            "a.jsonl",
            '{"prompt": "a"}\n{"prompt": "b\\ud800c"}',
            r"row 2 of .* holds '\\ud800', half of a surrogate pair",
        ),
        ("a.jsonl", '{"prompt": [{"role": "user", "content": "\\udfff"}]}', r"row 1 of .* holds '\\udfff', half"),
        ("a.jsonl", '{"prompt": "a", "target": ["\\ud83d"]}', r"row 1 of .* holds '\\ud83d', half of a surrogate pair"),
        (
            "a.jsonl",
            f'{{"prompt": "a", "x": {nested(101)}}}',
            "row 1 of .* has values nested more than 100 levels deep",
        ),
        ("a.jsonl", f'{{"prompt": "a"}}\n{nested(99999)}', "line 2 of .* has values nested more than 100 levels deep"),
        ("a.json", nested(99999), "cannot be read: maximum recursion depth exceeded"),
        ("a.json", "{", "cannot be read"),
        ("a.json", '{"prompt": "a"}', "holds a dict, not a list"),
        ("a.csv", "prompt\na,b\n", "row 1 .* more cells"),
        ("a.csv", 'prompt,target\n"1+2=?,3\n4+5=?,9\n', "cannot be read: unexpected end of data"),
        ("a.csv", "prompt,a,a\n1,2,3\n", "has two columns called 'a'"),
        (
            "a.jsonl",
            '{"prompt": [{"role": "user", "content": [{"type": "image", "image": "x"}]}]}',
            "message 1 of the prompt in row 1 of .* holds a part of type 'image'; its content must be text",
        ),
        ("a.jsonl", '{"prompt": [{"role": "user", "content": 5}]}', "holds .*5.*; its content must be text"),
        ("a.jsonl", '{"prompt": [{"role": "user", "content": 0}]}', "holds .*0.*; its content must be text"),
        ("a.parquet", "no", "cannot be read"),
        ("a.txt", "a", "unknown extension; use one of .jsonl, .json, .csv, .parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        load_examples(str(path))


def test_bytes_that_are_not_utf8_are_told(tmp_path):
    (tmp_path / "a.csv").write_bytes("prompt\n你好\n".encode("gbk"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_examples(str(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["absent.jsonl", "owner/absent.parquet", "./absent", "/absent/folder", "~/absent"])
def test_what_looks_like_a_path_is_never_asked_of_the_hub(monkeypatch, name):
    monkeypatch.setattr(prompts, "_read_hub", lambda *_: pytest.fail("asked the hub"))
    with pytest.raises(ConfigError, match=r"absent.* does not exist; files may be .jsonl, .json, .csv, .parquet"):
        load_examples(name)


def test_what_exists_on_disk_wins_over_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datasets.Dataset.from_list(ROWS).save_to_disk("owner/name")
    assert load_examples("owner/name") == ROWS


@pytest.mark.parametrize(
    "error",
    [ConnectionError("no net"), httpx2.ConnectError("no net"), DatasetNotFoundError("no net")],
)
def test_a_hub_that_cannot_be_reached_is_a_config_error(monkeypatch, error):
    def refuse(name, config, split):
        assert (name, config, split) == ("owner/absent", "main", "train")
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    monkeypatch.setattr(prompts, "hub_answers", lambda: True)
    with pytest.raises(
        ConfigError, match="'owner/absent:main' is neither a file here nor readable from the hub: no net"
    ):
        load_examples("owner/absent:main")


def test_every_epoch_holds_every_example_once_in_an_order_of_its_own():
    rows = [{"prompt": str(number)} for number in range(20)]
    drawn = [row["prompt"] for row in itertools.islice(examples_forever(rows, seed=1), 60)]
    epochs = [drawn[:20], drawn[20:40], drawn[40:]]
    assert all(sorted(epoch) == sorted(row["prompt"] for row in rows) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert drawn == [row["prompt"] for row in itertools.islice(examples_forever(rows, seed=1), 60)]
    assert drawn != [row["prompt"] for row in itertools.islice(examples_forever(rows, seed=2), 60)]
