"""CTC by its definition: the sum over every path, one by one. For a few frames and classes."""

import itertools
import math

import numpy as np


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def all_paths(frames, num_classes):
    """Every way to give each frame a class."""
    return itertools.product(range(num_classes), repeat=frames)


def text_of(path, blank):
    """The ids that a path reads, as a tuple: repeats merged, then blanks dropped."""
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def states_of(path, blank):
    """The lattice state of a path in each frame: 2 x labels so far, less 1 on a label."""
    seen, before, states = 0, blank, []
    for k in path:
        seen += k not in (blank, before)
        states.append(2 * seen - (k != blank))
        before = k
    return states


def paths_of(ids, frames, num_classes, blank_index=-1):
    """Every path that reads the ids."""
    blank = blank_index % num_classes
    every = all_paths(frames, num_classes)
    return [path for path in every if text_of(path, blank) == tuple(ids)]


def path_probability(logits, path):
    return softmax(logits)[np.arange(len(path)), list(path)].prod()


def all_texts(logits, blank_index=-1):
    """{ids: probability} of every text that logits [T, C] can read; they add up to 1."""
    texts, blank = {}, blank_index % logits.shape[1]
    frames = softmax(logits).tolist()  # once, as there are many paths
    for path in all_paths(*logits.shape):
        p = math.prod(frame[k] for frame, k in zip(frames, path, strict=True))
        if p > 0:
            ids = text_of(path, blank)
            texts[ids] = texts.get(ids, 0.0) + p
    return texts


def loss_and_gradient(logits, ids, blank_index=-1):
    """-log p(ids | logits) and its derivative [T, C]; infinite, with no slope, if p is 0."""
    logits = np.asarray(logits, np.float64)
    total, visits = 0.0, np.zeros_like(logits)
    for path in paths_of(ids, *logits.shape, blank_index):
        p = path_probability(logits, path)
        total += p
        visits[np.arange(len(path)), list(path)] += p
    if total == 0:
        return np.inf, np.zeros_like(logits)
    return -np.log(total), softmax(logits) - visits / total
