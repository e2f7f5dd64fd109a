import pytest

from workbench.run.methods import UNIFIED_VIEW
from workbench.views.memory import PARTS, memory_figure

GRPO = {"policy": 8_000_000, "adapter": 1_000_000, "gradients": 1_000_000, "optimizer": 2_000_000, "reference": 0}
PPO = GRPO | {"critic": 9_000_000, "critic_gradients": 1_000_000, "critic_optimizer": 2_000_000}


def written(figure) -> str:
    return " ".join(note.text for note in figure.layout.annotations)


def test_a_bar_has_every_part_once_and_they_add_up_to_the_total_that_is_written():
    figure = memory_figure("ppo", PPO)
    sizes = {trace.name: trace.x[0] for trace in figure.data}
    assert sizes == {
        "policy": 8_000_000,
        "adapter": 1_000_000,
        "gradients": 1_000_000,
        "optimizer": 2_000_000,
        "critic": 12_000_000,
    }
    assert "24 MB" in written(figure) and sum(sizes.values()) == 24_000_000


def test_that_there_is_no_critic_is_said_where_there_is_none():
    assert "no critic, no reward model" in written(memory_figure("grpo", GRPO))
    assert "no critic" not in written(memory_figure("ppo", PPO))
    assert "无评论家" in written(memory_figure("grpo", GRPO, lang="zh"))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hovering_over_a_part_says_its_name_its_size_and_what_it_is(lang):
    for trace in memory_figure("ppo", PPO | {"reward_model": 1, "reference": 1}, lang=lang).data:
        _, about = next(words for words in PARTS.values() if words[0][lang == "zh"] == trace.name)
        (hover,) = trace.hovertemplate
        assert trace.name in hover and about[lang == "zh"][:8] in hover.replace("<br>", " ")


def test_other_methods_stand_below_on_the_same_scale_and_nothing_is_invented():
    figure = memory_figure("grpo", GRPO, {"ppo": PPO})
    assert figure.layout.yaxis.ticktext == ("GRPO, this run", "PPO")
    critic = next(trace for trace in figure.data if trace.name == "critic")
    assert list(critic.x) == [0, 12_000_000]
    assert memory_figure("grpo", GRPO).layout.yaxis.ticktext == ("GRPO, this run",)
    assert len(memory_figure("grpo", {}).data) == 0


def test_the_peak_of_a_gpu_is_no_part_and_a_part_without_words_is_shown_under_its_own_name():
    names = [trace.name for trace in memory_figure("grpo", GRPO | {"peak": 10**9, "old_samples": 5_000_000}).data]
    assert "peak" not in names and "old samples" in names


def test_a_part_has_one_look_in_every_figure():
    def looks(*arguments):
        traces = memory_figure(*arguments).data
        return {trace.name: (trace.marker.color, trace.marker.pattern.shape) for trace in traces}

    grpo, ppo = looks("grpo", GRPO), looks("ppo", PPO, {"grpo": GRPO})
    assert grpo == {name: look for name, look in ppo.items() if name in grpo}
    assert len(set(ppo.values())) == len(ppo)


def test_every_method_has_its_bar():
    for method in UNIFIED_VIEW:
        assert memory_figure(method, GRPO).layout.yaxis.ticktext[0].startswith(UNIFIED_VIEW[method].title[0])
