"""Characters to class ids and back. Taught in notebook 00_start_here."""

from collections.abc import Iterable

import numpy as np


class Alphabet:
    """The characters a model can write, in a fixed order, plus the CTC blank as the last class.

    The order is part of a trained model: keep `characters` as a string beside the saved weights.
    (A `set` has another order in every process.)

    Args:
        characters: one class per character, each once; at least one.

    Raises:
        ValueError: no characters, or one that stands twice.
    """

    def __init__(self, characters: str = " abcdefghijklmnopqrstuvwxyz") -> None:
        if not characters:
            raise ValueError("an alphabet needs at least one character")
        self._ids = {character: index for index, character in enumerate(characters)}
        if len(self._ids) < len(characters):
            twice = next(c for i, c in enumerate(characters) if c in characters[:i])
            raise ValueError(f"the alphabet holds {twice!r} more than once")
        self.characters = characters

    @property
    def num_classes(self) -> int:
        """Number of classes a model needs: the characters and the blank."""
        return len(self.characters) + 1

    @property
    def blank_index(self) -> int:
        """Class id of the blank: the last class, as in TensorFlow's CTC decoders."""
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Class ids of `text`, int32 [L].

        Raises:
            ValueError: a character outside the alphabet; the message names it and its place.
        """
        for place, character in enumerate(text):
            if character not in self._ids:
                raise ValueError(
                    f"character {character!r} at position {place} of {text!r} is not in the "
                    f"alphabet {self.characters!r}"
                )
        return np.array([self._ids[character] for character in text], dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of class ids [L].

        Raises:
            ValueError: an id that is no character: the blank, a padding -1, or out of range.
        """
        ids = [int(i) for i in ids]
        for place, i in enumerate(ids):
            if not 0 <= i < len(self.characters):
                raise ValueError(
                    f"id {i} at position {place} is no character: expected 0 to "
                    f"{len(self.characters) - 1} (drop blanks and padding first)"
                )
        return "".join(self.characters[i] for i in ids)
