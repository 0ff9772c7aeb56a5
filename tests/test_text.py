import numpy as np
import pytest

from ctc_tutorial.text import Alphabet


def test_ids_of_the_default_alphabet():
    alphabet = Alphabet()
    ids = alphabet.encode("az ")
    assert ids.dtype == np.int32 and ids.tolist() == [1, 26, 0]
    assert (alphabet.num_classes, alphabet.blank_index) == (28, 27)
    assert alphabet.decode(alphabet.encode("she had your dark suit")) == "she had your dark suit"


def test_another_alphabet():
    digits = Alphabet("0123456789")
    assert digits.encode("305").tolist() == [3, 0, 5]
    assert digits.decode(np.array([9, 9])) == "99"
    assert (digits.num_classes, digits.blank_index) == (11, 10)


def test_empty_text():
    assert Alphabet().encode("").shape == (0,)
    assert Alphabet().encode("").dtype == np.int32
    assert Alphabet().decode([]) == ""


def test_foreign_character_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"character 'é' at position 3 of 'café'"):
        Alphabet().encode("café")


@pytest.mark.parametrize("ids", [[0, 27], [-1], [28]])
def test_blank_and_padding_are_no_characters(ids):
    with pytest.raises(ValueError, match=rf"id {ids[-1]} at position {len(ids) - 1}"):
        Alphabet().decode(ids)


@pytest.mark.parametrize(("characters", "message"), [("", "at least one"), ("abca", "'a' more")])
def test_bad_alphabets(characters, message):
    with pytest.raises(ValueError, match=message):
        Alphabet(characters)


@pytest.mark.parametrize("ids", [[1.7], "12", [True], 3, [[1], [2, 3]], np.ones((2, 2), int)])
def test_what_is_no_ids_is_not_decoded(ids):
    with pytest.raises(ValueError, match="ids must be integers"):
        Alphabet().decode(ids)


def test_what_is_no_text_is_not_encoded():
    with pytest.raises(ValueError, match="text 7 is not a text"):
        Alphabet().encode(7)
    with pytest.raises(ValueError, match="one text, not"):
        Alphabet(["a", "bc"])
