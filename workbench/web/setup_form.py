"""The form in which a run is set up: preset, prompts, rewards, model, sizes. Its words follow the page's language."""

from typing import Any

import gradio as gr

from workbench.errors import ConfigError, KnobError
from workbench.run.presets import PRESETS
from workbench.run.workbench import Workbench
from workbench.tasks.registry import TASKS

# field: (label en, label zh, help en, help zh)
WORDS: dict[str, tuple[str, str, str, str]] = {
    "preset": (
        "Start from",
        "起点",
        "Fills in the task, the rewards and the knobs.",
        "填好任务、奖励和各旋钮。",
    ),
    "task": ("Task", "任务", "Built-in prompts and reward functions.", "自带的题目和奖励函数。"),
    "model": (
        "Model",
        "模型",
        "tiny, a folder, or a hub id (org/name).",
        "tiny（自带）、文件夹或 hub id。",
    ),
    "dataset": (
        "Prompts from a dataset",
        "从数据集取题",
        "Optional: a .jsonl, .csv or .parquet file, or a hub id.",
        "可不填：.jsonl、.csv、.parquet 文件或 hub id。",
    ),
    "prompt_column": ("Prompt column", "题目所在列", "A string or a list of messages.", "字符串或消息列表。"),
    "reward_funcs": (
        "Reward functions",
        "奖励函数",
        "Optional: names or file.py:function, comma-separated.",
        "可不填：名字或 file.py:function，逗号分隔。",
    ),
    "reward_weights": (
        "Reward weights",
        "奖励权重",
        "Optional: one for each function, comma-separated.",
        "可不填：每个函数一个，逗号分隔。",
    ),
    "prompts_per_step": ("Prompts per step", "每步题数", "Each gets G completions.", "每题采样 G 个回答。"),
    "max_steps": ("Steps", "步数", "The run ends after this many.", "到此步数结束。"),
    "seed": ("Seed", "随机种子", "Same seed, same run.", "相同种子，相同过程。"),
    "lora_r": ("LoRA rank", "LoRA 秩", "Size of the trained adapter.", "所训练适配器的大小。"),
    "dtype": (
        "Precision",
        "精度",
        "auto: bfloat16 on a GPU.",
        "auto：GPU 用 bfloat16。",
    ),
}
_TITLE = ("### Set up a run", "### 设置一次训练")
_BUTTON = ("Train with these settings", "按此设置训练")
_ON_TRAINED = (
    "(message) => { if (!message) document.dispatchEvent(new CustomEvent('wb:show', {detail: {view: 'live'}})); }"
)


def build_setup_form(workbench: Workbench) -> None:
    """Draw the form; its button starts a run, or says below itself, in one sentence, why it cannot."""
    title = gr.Markdown(_TITLE[0])
    fields: dict[str, Any] = {}
    with gr.Row():
        fields["preset"] = gr.Dropdown(_preset_choices(0), value="addition", **_words("preset", 0))
        fields["task"] = gr.Dropdown(list(TASKS), value="addition", **_words("task", 0))
        fields["model"] = gr.Textbox("tiny", **_words("model", 0))
    with gr.Row():
        fields["dataset"] = gr.Textbox("", **_words("dataset", 0))
        fields["prompt_column"] = gr.Textbox("prompt", **_words("prompt_column", 0))
    with gr.Row():
        fields["reward_funcs"] = gr.Textbox("", **_words("reward_funcs", 0))
        fields["reward_weights"] = gr.Textbox("", **_words("reward_weights", 0))
    with gr.Row():
        for name, value in (("prompts_per_step", 8), ("max_steps", 100), ("seed", 0), ("lora_r", 8)):
            fields[name] = gr.Number(value, precision=0, **_words(name, 0))
        fields["dtype"] = gr.Dropdown(["auto", "float32", "bfloat16"], value="auto", **_words("dtype", 0))
    button = gr.Button(_BUTTON[0], variant="primary", elem_id="wb-setup-train")
    refusal = gr.Markdown("", elem_id="wb-setup-refusal")
    language = _language_bridge()

    def train(*values: Any) -> str:
        try:
            preset, config = _settings(dict(zip(fields, values, strict=True)))
            workbench.start(preset, config)
        except (ConfigError, KnobError) as error:
            return f"⚠ {error}"
        return ""

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    button.click(train, list(fields.values()), refusal, **private).then(None, refusal, None, js=_ON_TRAINED)
    fields["preset"].input(_fill_from_preset, fields["preset"], [fields["task"], fields["reward_weights"]], **private)
    outputs = [title, button, *fields.values()]
    language.language(_relabelled(list(fields)), None, outputs, **private)


def _words(name: str, language: int) -> dict[str, Any]:
    words = WORDS[name]
    return {"label": words[language], "info": words[2 + language]}


def _preset_choices(language: int) -> list[tuple[str, str]]:
    return [(preset.title[language], name) for name, preset in PRESETS.items()]


def _settings(values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the preset and the settings that the form's values stand for; an empty field is left to the preset."""
    preset = values.pop("preset")
    settings = {name: value for name, value in values.items() if value not in ("", None)}
    if "reward_funcs" in settings:
        settings["reward_funcs"] = _parts(settings["reward_funcs"])
    if "reward_weights" in settings:
        settings["reward_weights"] = [_number(part) for part in _parts(settings["reward_weights"])]
    return preset, settings


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"reward_weights: {text!r} is not a number") from error


def _fill_from_preset(name: str) -> tuple[str, str]:
    settings = PRESETS[name].settings
    return settings.get("task", "addition"), ", ".join(f"{weight:g}" for weight in settings.get("reward_weights", ()))


def _language_bridge() -> gr.HTML:
    """Return an invisible element that tells the server when the page's language changes."""
    return gr.HTML(
        html_template="<div></div>",
        js_on_load="""
            const tell = () => trigger('language', {zh: document.documentElement.lang.startsWith('zh')});
            new MutationObserver(tell).observe(document.documentElement, {attributes: true, attributeFilter: ['lang']});
            tell();
        """,
        elem_id="wb-language",
    )


def _relabelled(names: list[str]) -> Any:
    def relabel(event: gr.EventData) -> list[Any]:
        language = 1 if event.zh else 0
        updates = [gr.update(**_words(name, language)) for name in names]
        updates[names.index("preset")] = gr.update(choices=_preset_choices(language), **_words("preset", language))
        return [_TITLE[language], gr.update(value=_BUTTON[language]), *updates]

    return relabel
