# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Texts as people write them, made ready to be learnt. Taught in notebook 10_your_own_data.

This file stands alone: it needs nothing but Python.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence


def clean_texts(
    texts: Sequence[str], spelled: Mapping[str, str] | None = None
) -> tuple[list[str], Counter]:
    """One way of writing for each text, and what was lost on the way.

    Unicode's NFKC form (one code for what looks the same: full-width letters, ligatures, accents
    written apart), lower case, and the digits of any script as 0 to 9. Letters, the marks on them,
    and digits stay; so does an apostrophe within a word, however it was typed. What can't be seen,
    such as a soft hyphen, vanishes. Everything else becomes a space, and several spaces one.

    Digits stay as they are, since how "2" is spoken depends on the language and on the text. A
    model can learn them as characters if they are always spoken one by one, but not beside the same
    numbers in letters: then spell them.

    Args:
        texts: B texts.
        spelled: what to write in place of a character, in letters: {"2": "two", "%": "percent"}.

    Returns:
        The B texts, some perhaps empty; and how often each character was dropped.

    Raises:
        ValueError: an item that is no text.

    >>> texts, dropped = clean_texts(["Don't WAIT, 2 left!", "5 %"], {"2": "two", "5": "five"})
    >>> texts
    ["don't wait two left", 'five']
    >>> sorted(dropped.items())
    [('!', 1), ('%', 1), (',', 1)]
    """
    if isinstance(texts, str):
        raise ValueError("expected one text for each recording: put a single one into a list")
    words = {character: _one_way(word) for character, word in (spelled or {}).items()}
    cleaned: list[str] = []
    dropped: Counter[str] = Counter()
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {i} is {text!r}: give a text")
        text = _one_way(text)
        for character, word in words.items():
            text = text.replace(character, f" {word} ")
        kept = [c if _stays(text, place) else " " for place, c in enumerate(text)]
        dropped.update(c for c, k in zip(text, kept, strict=True) if k == " " and not c.isspace())
        cleaned.append(" ".join("".join(kept).split()))
    return cleaned, dropped


def _one_way(text: str) -> str:
    for mark in "\u2018\u2019\u02bc\u2032`\u00b4":  # first: NFKC makes a space of the last one
        text = text.replace(mark, "'")
    # The non-joiner between letters of a word stays, and becomes a space as a hyphen does.
    seen = "".join(c for c in text if unicodedata.category(c) != "Cf" or c == "\u200c")
    seen = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in seen)
    # A capital I with a dot is the only letter that lower case makes two codes of.
    return unicodedata.normalize("NFKC", seen).lower().replace("i\u0307", "i")


def _stays(text: str, place: int) -> bool:
    character = text[place]
    if character == "'":
        return text[place - 1 : place].isalpha() and text[place + 1 : place + 2].isalpha()
    return unicodedata.category(character)[0] in "LMN"  # letters, marks on them, numbers
