import re

from workbench.views.words import WORDS


def test_both_languages_have_the_same_blanks():
    for english, chinese in WORDS.values():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese))
        assert english and chinese
