# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Characters to class ids and back. Taught in notebook 00_start_here.

This file stands alone: it needs NumPy.
"""

from collections.abc import Iterable

import numpy as np


class Alphabet:
    """The characters a model can write, in a fixed order, plus the CTC blank as the last class.

    The order is part of a trained model: keep `characters` as a string beside the saved weights.
    (A `set` has another order in every process.)

    Args:
        characters: one class per character, each once; at least one.

    Raises:
        ValueError: no text, no characters in it, or one that stands twice.

    >>> alphabet = Alphabet("abc")
    >>> alphabet.encode("cab")
    array([2, 0, 1], dtype=int32)
    >>> alphabet.decode([2, 0, 1])
    'cab'
    """

    def __init__(self, characters: str = " abcdefghijklmnopqrstuvwxyz") -> None:
        if not isinstance(characters, str):
            raise ValueError(f"an alphabet is one text, not {characters!r}: join its characters")
        if not characters:
            raise ValueError("an alphabet needs at least one character: pass those of your texts")
        self._ids = {character: index for index, character in enumerate(characters)}
        if len(self._ids) < len(characters):
            twice = next(c for i, c in enumerate(characters) if c in characters[:i])
            raise ValueError(f"the alphabet holds {twice!r} more than once: keep one of them")
        self.characters = characters

    @property
    def num_classes(self) -> int:
        """Number of classes a model needs: the characters and the blank.

        >>> Alphabet("abc").num_classes
        4
        """
        return len(self.characters) + 1

    @property
    def blank_index(self) -> int:
        """Class id of the blank: the last class, as in TensorFlow's CTC decoders.

        >>> Alphabet("abc").blank_index
        3
        """
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Class ids of `text`, int32 [L].

        Raises:
            ValueError: a character outside the alphabet; the message names it and its place.

        >>> Alphabet().encode("a cab")
        array([1, 0, 3, 1, 2], dtype=int32)
        """
        if not isinstance(text, str):
            raise ValueError(f"text {text!r} is not a text: give one utterance's")
        for place, character in enumerate(text):
            if character not in self._ids:
                raise ValueError(
                    f"character {character!r} at position {place} of {text!r} is not in the "
                    f"alphabet {self.characters!r}: add it there, or take it out of the text"
                )
        return np.array([self._ids[character] for character in text], dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the class ids of one utterance, int [L].

        Raises:
            ValueError: ids that are not integers [L], or one that is no character: the blank, a
                padding -1, or out of range.

        >>> Alphabet().decode(np.array([3, 1, 2]))
        'cab'
        """
        try:
            array = np.asarray(list(ids))
        except (TypeError, ValueError) as error:
            raise ValueError(f"ids must be integers [L] of one utterance: {error}") from error
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            found = f"{array.dtype} of shape {array.shape}"
            raise ValueError(f"ids must be integers [L] of one utterance, not {found}")
        ids = array.tolist()
        for place, i in enumerate(ids):
            if not 0 <= i < len(self.characters):
                raise ValueError(
                    f"id {i} at position {place} is no character: expected 0 to "
                    f"{len(self.characters) - 1}; take blanks and padding out first"
                )
        return "".join(self.characters[i] for i in ids)
