"""Texts as people write them: what is kept, what is dropped, what is spelled."""

import unicodedata
from collections import Counter

import pytest

from ctc_tutorial import clean_texts


@pytest.mark.parametrize(
    ("text", "cleaned", "dropped"),
    [
        ("Hello,  World!", "hello world", ",!"),
        ("DON’T 'quote' rock'n'roll'", "don't quote rock'n'roll", "'''"),
        ("twenty-one", "twenty one", "-"),
        ("Straße ÉCOLE", "straße école", ""),
        ("ｆｕｌｌ ﬁ", "full fi", ""),  # full width; a ligature
        ("हिन्दी में", "हिन्दी में", ""),  # vowel signs are marks, not letters
        ("7 of 9", "7 of 9", ""),
        ("don`t, geht´s", "don't geht's", ","),  # typed for an apostrophe
        ("Donau\u00addampf", "donaudampf", ""),  # a soft hyphen
        ("ශ්\u200dරී", "ශ්රී", ""),  # a joiner
        ("می\u200cخواهم", "می خواهم", "\u200c"),  # a non-joiner
        ("İstanbul", "istanbul", ""),
        ("?!…", "", "?!..."),  # NFKC writes the ellipsis as three
    ],
)
def test_what_is_kept_of_a_text_and_what_is_dropped(text, cleaned, dropped):
    assert clean_texts([text]) == ([cleaned], Counter(dropped))


def test_accents_are_written_one_way():
    apart = unicodedata.normalize("NFD", "café")
    assert len(apart) == 5 and clean_texts([apart])[0] == clean_texts(["café"])[0] == ["café"]


def test_numerals_are_spelled_where_the_caller_says_how():
    assert clean_texts(["Room 42, 5%"], {"4": "four", "2": "two", "%": "percent"}) == (
        ["room four two 5 percent"],
        Counter(","),
    )


def test_texts_that_are_none_are_refused():
    with pytest.raises(ValueError, match="put a single one into a list"):
        clean_texts("one")
    with pytest.raises(ValueError, match="text 1 is None"):
        clean_texts(["one", None])


@pytest.mark.parametrize("apostrophe", ["'", "\u2019", "\u2018", "\u02bc", "\u2032", "`", "\u00b4"])
def test_one_apostrophe_for_all(apostrophe):
    assert clean_texts([f"п{apostrophe}ять", f"don{apostrophe}t"])[0] == ["п'ять", "don't"]


def test_digits_of_other_scripts_are_spelled_and_their_words_cleaned():
    assert clean_texts(["٣ ३ ３ 3"], {"3": "Cafe\u0301"})[0] == ["café café café café"]
