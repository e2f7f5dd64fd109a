"""Prompts that the user brings: a local file, a folder saved by ``datasets``, or a dataset of the hub."""

import csv
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from workbench.errors import ConfigError
from workbench.tasks.base import Example, Messages
from workbench.tasks.hub import hub_answers, no_answer, was_downloaded

Row = dict[str, Any]
MOST_LEVELS = 100  # of lists and objects in one another


def load_examples(dataset: str, prompt_column: str = "prompt", split: str = "train") -> list[Example]:
    """Return the dataset's rows, each with its prompt under ``prompt`` and its other columns as they are.

    ``dataset`` is a .jsonl, .json, .csv or .parquet file, a folder saved by ``datasets``, or a hub id (``owner/name``,
    ``owner/name:config``).  What exists on disk is never looked for on the hub, nor is what looks like a path.
    ``split`` is used for folders and hub ids.  A prompt is a string or a list of messages with role and content.
    Raises ConfigError.
    """
    rows = _read(dataset, split)
    if not rows:
        raise ConfigError(f"dataset {dataset!r} is empty")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if prompt_column not in names:
        raise ConfigError(f"dataset {dataset!r} has no column {prompt_column!r}; its columns are {', '.join(names)}")
    blank = dict.fromkeys(names)
    examples = [{**blank, **row, "prompt": row.get(prompt_column)} for row in rows]
    for number, example in enumerate(examples, start=1):
        _check_value(example, number, dataset)
        _check_prompt(example["prompt"], number, dataset)
    return examples


def examples_forever(examples: Sequence[Example], seed: int) -> Iterator[Example]:
    """Yield the examples endlessly, shuffled anew each epoch, the same for the same seed."""
    if not examples:
        raise ConfigError("there are no examples to draw prompts from")
    rng = random.Random(f"epochs-{seed}")
    while True:
        yield from rng.sample(examples, len(examples))


def _check_value(value: Any, number: int, dataset: str, level: int = 0) -> None:
    """Raise ConfigError if a row's value holds text that no tokenizer and no file takes, or is nested too deeply."""
    if level > MOST_LEVELS and isinstance(value, (Mapping, list)):
        raise ConfigError(f"row {number} of {dataset!r} has values nested more than {MOST_LEVELS} levels deep")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"row {number} of {dataset!r} holds {value[error.start]!r}, half of a surrogate pair: "
                "text must be whole Unicode characters"
            ) from error
    elif isinstance(value, Mapping):
        for part in (*value.keys(), *value.values()):
            _check_value(part, number, dataset, level + 1)
    elif isinstance(value, list):
        for part in value:
            _check_value(part, number, dataset, level + 1)


def _check_prompt(prompt: Any, number: int, dataset: str) -> None:
    is_messages = (
        isinstance(prompt, list)
        and bool(prompt)
        and all(isinstance(message, Mapping) and {"role", "content"} <= message.keys() for message in prompt)
    )
    if isinstance(prompt, str) and prompt:
        return
    if not is_messages:
        kind = "empty" if prompt in ("", []) else f"a {type(prompt).__name__}"
        raise ConfigError(
            f"the prompt in row {number} of {dataset!r} is {kind}; "
            "it must be a string or a list of messages with role and content"
        )
    for place, message in enumerate(cast(Messages, prompt), start=1):
        part = _no_text(message["content"])
        if part is not None:
            raise ConfigError(
                f"message {place} of the prompt in row {number} of {dataset!r} holds {part}; its content must be text"
            )


def _no_text(content: Any) -> str | None:
    """Return what in a message's content no language model reads; None where all is text, or nothing, as in calls."""
    parts = content if isinstance(content, list) else [{"type": "text", "text": "" if content is None else content}]
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            return f"a part of type {kind!r}" if kind not in ("text", None) else repr(part)[:40]
    return None


def is_hub_id(dataset: str) -> bool:
    """Return whether the name is one of the hub's, as it is of no file and no folder."""
    path = Path(dataset).expanduser()
    return not (path.exists() or path.suffix.lower() in _readers() or dataset.startswith(("/", "./", "../", "~")))


def _read(dataset: str, split: str) -> list[Row]:
    path = Path(dataset).expanduser()
    readers = _readers()
    if path.is_dir():
        return _read_saved_folder(path, split)
    if path.exists() and path.suffix.lower() not in readers:
        raise ConfigError(f"dataset file {dataset!r} has an unknown extension; use one of {', '.join(readers)}")
    if path.exists():
        return _read_file(path, readers[path.suffix.lower()])
    if is_hub_id(dataset):
        return _read_hub(dataset, split)
    raise ConfigError(f"dataset file {dataset!r} does not exist; files may be {', '.join(readers)}")


def _readers() -> dict[str, Callable[[Path], list[Row]]]:
    return {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_csv, ".parquet": _read_parquet}


def _read_file(path: Path, reader: Callable[[Path], list[Row]]) -> list[Row]:
    try:
        rows = reader(path)
    except ConfigError:
        raise
    except (OSError, ValueError, RecursionError, csv.Error) as error:  # bad text, JSON and parquet are ValueErrors
        raise ConfigError(f"dataset file {str(path)!r} cannot be read: {error}") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ConfigError(
                f"row {number} of {str(path)!r} is a {type(row).__name__}, not an object with named columns"
            )
    return rows


def _read_jsonl(path: Path) -> list[Row]:
    rows = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ConfigError(f"line {number} of {str(path)!r} is not JSON: {error}") from error
            except RecursionError as error:
                raise ConfigError(
                    f"line {number} of {str(path)!r} has values nested more than {MOST_LEVELS} levels deep"
                ) from error
    return rows


def _read_json(path: Path) -> list[Row]:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list):
        raise ConfigError(f"{str(path)!r} holds a {type(rows).__name__}, not a list of objects")
    return rows


def _read_csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)  # a quote that is never closed is no end of a cell
        names = reader.fieldnames or []
        twice = [name for name in names if name and names.count(name) > 1]
        if twice:
            raise ConfigError(f"{str(path)!r} has two columns called {twice[0]!r}")
        rows = list(reader)  # cells beyond the header lie under None
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise ConfigError(f"row {number} of {str(path)!r} has more cells than the header has columns")
        row.pop("", None)  # the index that pandas writes, or a comma at the end of the header
    return rows


def _read_parquet(path: Path) -> list[Row]:
    from pyarrow import parquet  # noqa: PLC0415  comes with datasets; slow to import

    return parquet.read_table(path).to_pylist()


def _read_saved_folder(path: Path, split: str) -> list[Row]:
    import datasets  # noqa: PLC0415  slow to import

    try:
        saved = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"dataset folder {str(path)!r} was not saved by datasets: {error}") from error
    if isinstance(saved, datasets.DatasetDict):
        if split not in saved:
            raise ConfigError(
                f"dataset folder {str(path)!r} has no split {split!r}; its splits are {', '.join(map(str, saved))}"
            )
        saved = saved[split]
    return saved.to_list()


def _read_hub(dataset: str, split: str) -> list[Row]:
    import datasets  # noqa: PLC0415  slow to import
    import httpx2  # noqa: PLC0415  what the hub's client raises through
    from datasets.exceptions import DatasetsError  # noqa: PLC0415

    name, _, config = dataset.partition(":")
    try:
        if not was_downloaded(name) and not hub_answers():
            raise ConnectionError(no_answer())
        return datasets.load_dataset(name, config or None, split=split).to_list()
    except (OSError, ValueError, RuntimeError, httpx2.HTTPError, DatasetsError) as error:
        raise ConfigError(f"dataset {dataset!r} is neither a file here nor readable from the hub: {error}") from error
