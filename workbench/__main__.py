"""The workbench without a page: `python -m workbench train --preset addition --steps 20 --json`.

The same engine as the page's, printed step by step and recorded. A setting that cannot be used is told in one sentence
on standard error, with exit code 2.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from workbench.errors import ConfigError, DivergedError, KnobError, WriteError
from workbench.imports import import_engine
from workbench.run.config import RunConfig
from workbench.run.fastpaths import FAST_PATHS
from workbench.run.knobs import Knobs, knob_spec, knob_specs
from workbench.run.presets import PRESETS, preset_settings
from workbench.run.recorder import RunFolder
from workbench.run.session import Session
from workbench.tasks.rewards import RewardError

_OWN_FLAG = ("max_steps", "reward_funcs", "reward_weights", "plain_paths")  # settings whose flag is not just their name
Row = Mapping[str, Any]


def main(arguments: list[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than the help has
    options = _parser().parse_args(arguments)
    try:
        for row in options.rows(options):
            print(json.dumps(row) if options.json else _line(row), flush=True)
    except (ConfigError, KnobError) as error:
        print(f"workbench: {error}", file=sys.stderr)
        return 2
    except (RewardError, DivergedError, WriteError) as error:
        print(f"workbench: the run failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _train(options: argparse.Namespace) -> Iterator[Row]:
    settings, knobs = preset_settings(options.preset)
    settings |= {name: value for name in _setting_names() if (value := getattr(options, name)) is not None}
    if options.steps is not None:
        settings["max_steps"] = options.steps
    if options.reward:
        settings |= {"reward_funcs": options.reward, "reward_weights": None}
    if options.reward_weight:
        settings["reward_weights"] = options.reward_weight
    if options.plain_path:
        settings["plain_paths"] = options.plain_path
    session = Session(
        RunConfig.from_mapping(settings), Knobs().changed(knobs | dict(map(_knob_change, options.set))), out=options.out
    )
    import_engine()
    for record in session.run():
        yield {"step": record.step, **record.metrics}


def _replay(options: argparse.Namespace) -> Iterator[Row]:
    rows = RunFolder(options.folder).read().rows
    if not rows:
        raise ConfigError(f"{options.folder} holds no step: the run ended before its first")
    for row in rows:
        yield {"step": row["step"], **row["metrics"]}


def _knob_change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise KnobError(f"--set {text!r} is not KNOB=VALUE; the knobs are {', '.join(knob_specs())}")
    return name, knob_spec(name).parse(value)


def _line(row: Row) -> str:
    shown = ("reward", "reward_std", "frac_reward_zero_std", "kl", "entropy", "clip_ratio/region_mean", "step_time")
    parts = [] if row.get("reward") is not None else ["no reward applied"]
    parts += [f"{name} {row[name]:.3f}" for name in shown if row.get(name) is not None]
    return f"step {row['step']:>4}  " + "  ".join(parts)


def _setting_names() -> list[str]:
    return [f.name for f in fields(RunConfig) if f.name not in _OWN_FLAG]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m workbench", description="GRPO without a page.")
    commands = parser.add_subparsers(required=True, metavar="command")
    train = commands.add_parser("train", help="train, and print each step's metrics")
    train.set_defaults(rows=_train)
    train.add_argument("--preset", default="addition", help=f"starting point: {', '.join(PRESETS)} (default: addition)")
    train.add_argument(
        "--steps", type=_number_or_text, metavar="N", help="steps to train (default: the preset's, or 200)"
    )
    train.add_argument("--out", type=Path, metavar="DIR", help="also record the run in this folder")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KNOB=VALUE",
        help=f"knobs: {', '.join(knob_specs())}; may be repeated",
    )
    train.add_argument(
        "--reward",
        action="append",
        metavar="NAME",
        help="a task's reward, one of TRL's, file.py:function or a model; may be repeated",
    )
    train.add_argument(
        "--reward-weight", action="append", type=_number_or_text, metavar="W", help="one for each reward"
    )
    train.add_argument(
        "--plain-path",
        action="append",
        metavar="NAME",
        help=f"a fast path to leave out, or all: {', '.join(FAST_PATHS)}; may be repeated",
    )
    for f in fields(RunConfig):
        if f.name not in _OWN_FLAG:
            _add_setting(train, f)
    train.add_argument("--json", action="store_true", help="print one JSON object a line")
    replay = commands.add_parser("replay", help="print the metrics of a recorded run")
    replay.set_defaults(rows=_replay)
    replay.add_argument("folder", type=Path, metavar="DIR", help="the run's folder")
    replay.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser


def _add_setting(parser: argparse.ArgumentParser, f: Any) -> None:
    flag, shared = f"--{f.name.replace('_', '-')}", {"dest": f.name, "default": None, "help": _help(f)}
    if f.type is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **shared)
    else:
        parser.add_argument(flag, type=_number_or_text if f.type in (int, float) else str, metavar="VALUE", **shared)


def _help(f: Any) -> str:
    choices = f"; one of {', '.join(f.metadata['choices'])}" if f.metadata["choices"] else ""
    default = "" if f.default is None or f.default == () else f" (default: {str(f.default).lower()})"
    return f"{f.metadata['help']}{choices}{default}".replace("%", "%%")


def _number_or_text(text: str) -> float | int | str:
    """Return the number that `text` stands for, or the text for the config to refuse in its own words."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Tell the mistake in one sentence, without the usage in front of it."""
        self.exit(2, f"workbench: {message} (--help lists the flags)\n")


if __name__ == "__main__":
    sys.exit(main())
