"""Strange inputs, and what counts as an answer. `make fuzz` throws 10,000 at each function.

A property calls `answer`, which returns what the function returns, or REFUSED where it says in
clear words what is wrong. Anything else that is raised is a failure, and so is a hang.
"""

import faulthandler
import functools
import os
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

HEAD = """# Strange inputs

`make fuzz` throws them at the functions, see tests/test_fuzz.py, test_fuzz_data.py and
test_fuzz_models.py. An example is one call; a property may call twice, and those that are slow,
because they train or compile, have fewer. A value counts as right if the property found nothing
wrong with it: mostly it is compared with brute force, float64 or the definition; of `plots` only
that something is drawn, of `read_wav` the range and the rate, of `train_aligner` shape and
finiteness after two steps. Not compared: a mean whose weights cancel, labels that are neither text
nor ids, losses of 80 nats and more of `sparse_op_loss` and `PortableCTCLossLayer`. Functions and
paths that are given are always such. What Keras casts to the dtype of a `keras.Input` before any
layer sees it (4.5 frames, the id 2**32) can't be told from what it becomes.

"""
REPORT = Path(__file__).parents[1] / "benchmarks" / "fuzz.md"
MANY = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # set by `make fuzz`
REFUSED = object()
COUNTS: dict[str, Counter] = {}  # of each property
_running = [Counter()]


def fuzz(few: int = 100, share: float = 1.0, **strategies):
    """A property for `few` examples, always the same; for share * FUZZ_EXAMPLES new ones."""
    options = settings(
        max_examples=max(1, int(share * MANY)) if MANY else few,
        derandomize=not MANY,
        database=None,
        deadline=None,
        phases=(Phase.generate,),  # the inputs are small as they are
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test):
        counts = COUNTS[test.__name__.removeprefix("test_")] = Counter()

        @functools.wraps(test)
        def counted(*args, **kwargs):
            _running[0] = counts
            try:
                test(*args, **kwargs)
            except Exception:
                counts["failures"] += 1
                raise

        return options(given(**strategies)(counted))

    return decorate


def answer(culprits: str, function, *args, refusals=(ValueError,), **kwargs):
    """function(*args, **kwargs), or REFUSED after an error that names one of the culprits."""
    counts = _running[0]
    counts["examples"] += 1
    faulthandler.dump_traceback_later(120, exit=True)  # a hang ends the run, and shows where
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)
    except (*refusals, tf.errors.InvalidArgumentError) as error:
        # A subclass, such as NumPy's AxisError or a UnicodeDecodeError, comes from the inside.
        assert type(error) in (*refusals, tf.errors.InvalidArgumentError), repr(error)
        assert re.search(culprits, str(error)), f"{error!r} names none of {culprits}"
        counts["refused"] += 1
        return REFUSED
    finally:
        faulthandler.cancel_dump_traceback_later()


def report() -> str:
    """The counts as a table."""
    lines = ["| property | examples | right values | clear errors | failures |"]
    lines += ["|---|---:|---:|---:|---:|"]
    for name, counts in COUNTS.items():
        if not counts:  # not run
            continue
        right = counts["examples"] - counts["refused"] - counts["failures"]
        row = counts["examples"], right, counts["refused"], counts["failures"]
        lines.append(f"| `{name}` | " + " | ".join(f"{n:,}" for n in row) + " |")
    return "\n".join(lines) + "\n"


def write_report() -> None:
    """Into benchmarks/fuzz.md, after a run of `make fuzz`."""
    if MANY:
        REPORT.write_text(HEAD + report(), encoding="utf-8")


# What is thrown. Arrays are regular noise with a few pokes of strange values: faster to draw than
# number by number, and with a chance that everything else is right.

CALM = (0.0, 1.0, -1.0, 0.5, 30.0, -90.0, -1e9, -np.inf)
WILD = (*CALM, 1e9, 1e30, -1e30, -1e308, 1e308, np.nan, np.inf)
IDS = (0, 1, 2, -1, 3, 10**6, 2**31 - 1, 2**32 + 1, -(2**40))
LENGTHS = (0, 1, 2, 3, 4, 5, -1, 10**6, 2**32 + 1)
NUMBERS = (0, 1, -1, 2.5, 1e30, -1e9, np.nan, np.inf, -np.inf, "1", 10**12)


def _poked(base, pokes):
    if base.size:
        for place, value in pokes:
            base.flat[place % base.size] = value
    return base


def _pokes(values):
    poke = st.tuples(st.integers(0, 99), st.sampled_from(values))
    return st.one_of(st.just([]), st.lists(poke, max_size=2))


@st.composite
def reals(draw, *shape):
    """Noise with pokes, float64 or float32."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    base = draw(st.sampled_from((0, 1, 1, 20))) * random.normal(size=shape)
    base = _poked(base, draw(_pokes(draw(st.sampled_from((CALM, WILD))))))
    with np.errstate(over="ignore"):
        return base.astype(draw(st.sampled_from((np.float32, np.float64))))


@st.composite
def integers(draw, low, high, *shape, pokes=IDS):
    """Integers from low up to, without, high, with pokes; int64 or int32 where they fit."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    base = random.integers(low, max(high, low + 1), shape, dtype=np.int64)
    base = _poked(base, draw(_pokes(pokes)))
    fits = np.array_equal(base.astype(np.int32), base)
    return base.astype(np.int32) if fits and draw(st.booleans()) else base


def _ragged(x):
    return [*x.tolist()[:1], [7, 8, 9, [0]]] if x.ndim else x


DRESSES = {
    "as it is": lambda x: x,
    "list": lambda x: x.tolist(),
    "dtype float32": lambda x: x.astype(np.float32),
    "half more": lambda x: x + 0.5,
    "dtype bool": lambda x: x.astype(bool),
    "dtype text": lambda x: x.astype(str),
    "dtype uint8": lambda x: x.astype(np.uint8),
    "dtype complex": lambda x: x.astype(complex),
    "one axis more": lambda x: x[None],
    "one axis more at the end": lambda x: x[..., None],
    "one axis less": lambda x: x.sum(axis=0) if x.ndim else x,
    "flat": np.ravel,
    "one less": lambda x: x[:-1] if x.ndim else x,
    "none": lambda x: x[:0] if x.ndim else x,
    "a number": lambda x: 3,
    "ragged": _ragged,
}
_dresses = st.one_of(st.just("as it is"), st.just("list"), st.sampled_from(list(DRESSES)))


@st.composite
def dressed(draw, values):
    """The values, two times in three as an array or lists, else as something that they should not
    be."""
    dress = draw(_dresses)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = draw(values)
        return values if "dtype" in dress and not values.size else DRESSES[dress](values)


def array(x, kinds: str, rank: int):
    """x as an array if it is one of this rank and of a dtype of these kinds, else None.

    [] is of floats, whatever it stands for.
    """
    try:
        x = np.asarray(x)
    except (ValueError, OverflowError):
        return None
    right = x.ndim == rank and (x.dtype.kind in kinds or (not x.size and x.dtype.kind == "f"))
    return x if right else None


BLANKS = st.sampled_from((-1,) * 8 + (0, 1, np.int64(1), -2, 5, -9, 0.5, np.nan, "0", None))


def blank_of(blank, classes: int):
    """The blank in 0 to classes - 1, or None."""
    good = isinstance(blank, int | np.integer) and -classes <= blank < classes
    return blank % classes if good else None


@functools.cache
def edit_distance(a: tuple, b: tuple) -> int:
    """By its definition."""
    if not a or not b:
        return len(a) + len(b)
    ways = edit_distance(a[1:], b) + 1, edit_distance(a, b[1:]) + 1
    return min(*ways, edit_distance(a[1:], b[1:]) + (a[0] != b[0]))
