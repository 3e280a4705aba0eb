"""Named entities: spans of tokens read from their tags, and how many of them agree."""

from __future__ import annotations

from collections.abc import Sequence

Entity = tuple[str, int, int]
"""Type, first token, last token."""


def entities(tags: Sequence[str]) -> list[Entity]:
    """Read the entities of one sentence from tags ``O``, ``B-type``, ``I-type`` (and ``E-type``, ``S-type``).

    A token belongs to the entity of the token before it if both have one type, that one does not end there (E, S), and
    this one does not begin anew (B, S); any other token with a tag begins an entity, also an ``I`` without its ``B``.
    These are the rules of seqeval's default mode, and of the CoNLL evaluation.

    Parameters
    ----------
    tags : sequence of str
        A tag for each token.

    Returns
    -------
    list of (type, first, last)
        In order.

    References
    ----------
    Tjong Kim Sang and De Meulder 2003, Introduction to the CoNLL-2003 shared task. Nakayama 2018, seqeval.

    Examples
    --------
    >>> entities(["B-city", "I-city", "O", "I-day", "B-day"])
    [('city', 0, 1), ('day', 3, 3), ('day', 4, 4)]
    """
    found: list[Entity] = []
    open_, kind, first = "", "", 0  # the letter of the token before, where it had one, and its entity
    for place, tag in enumerate([*tags, "O"]):
        letter, _, rest = tag.partition("-")
        inside = letter != "O"
        type_ = rest or "_"
        if open_ and (not inside or letter in "BS" or open_ in "ES" or type_ != kind):
            found.append((kind, first, place - 1))
            open_ = ""
        if inside:
            if not open_:
                kind, first = type_, place
            open_ = letter
    return found


def agreement(truth: Sequence[str], guess: Sequence[str]) -> tuple[int, int, int]:
    """Count the entities of a sentence: right ones (type and both ends), those there are, those told.

    Examples
    --------
    >>> agreement(["B-a", "I-a", "O"], ["B-a", "O", "B-a"])
    (0, 1, 2)
    """
    there, told = set(entities(truth)), set(entities(guess))
    return len(there & told), len(there), len(told)


def f1(right: float, there: float, told: float) -> float:
    """Give ``2 right / (there + told)``: the harmonic mean of precision and recall; 0 where nothing is right.

    Examples
    --------
    >>> f1(1, 2, 2)
    0.5
    """
    return 2 * right / (there + told) if right else 0.0
