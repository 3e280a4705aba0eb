"""Molecules as words: substructures read from SMILES text, by hand or by RDKit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from zlib import crc32

TOKEN = re.compile(r"(\[[^\]]+\])|(Br|Cl|[BCNOPSFIbcnops])|([-=#$:/\\])|(%\d\d|\d)|([().])|(.)")
Bonds = list[tuple[int, int, str]]


def graph(smiles: str) -> tuple[list[str], Bonds]:
    """Read a SMILES text: atoms, and bonds (atom, atom, kind); which way round an atom stands is left out.

    Examples
    --------
    >>> graph("CC(=O)O")
    (['C', 'C', 'O', 'O'], [(0, 1, ''), (1, 2, '='), (1, 3, '')])
    >>> graph("C1CC1")[1]
    [(0, 1, ''), (1, 2, ''), (0, 2, '')]
    """
    atoms: list[str] = []
    bonds: Bonds = []
    branches: list[int | None] = []
    rings: dict[str, tuple[int, str]] = {}
    last: int | None = None
    kind = ""
    for bracket, plain, bond, ring, mark, _ in TOKEN.findall(smiles):
        if bracket or plain:
            atoms.append(re.sub(r"@+\w?|:\d+", "", bracket).strip("[]") if bracket else plain)
            if last is not None:
                bonds.append((last, len(atoms) - 1, kind))
            last, kind = len(atoms) - 1, ""
        elif bond:
            kind = bond if bond in "=#$" else ""
        elif ring and last is not None:
            if ring in rings:
                other, before = rings.pop(ring)
                bonds.append((other, last, kind or before))
            else:
                rings[ring] = (last, kind)
            kind = ""
        elif mark == "(":
            branches.append(last)
        elif mark == ")" and branches:
            last = branches.pop()
        elif mark == ".":
            last = None
    return atoms, bonds


def circles(smiles: str, radius: int = 2) -> list[str]:
    """Name what lies around each atom, up to so many bonds away: extended-connectivity substructures.

    Rogers and Hahn 2010, Extended-connectivity fingerprints, J. Chem. Inf. Model. 50, without their removal of twins.
    """
    atoms, bonds = graph(smiles)
    near: list[list[tuple[int, str]]] = [[] for _ in atoms]
    for a, b, kind in bonds:
        near[a].append((b, kind))
        near[b].append((a, kind))
    names = [f"{atom}{len(around)}" for atom, around in zip(atoms, near, strict=True)]
    found = [*atoms, *names, *("-".join(sorted((atoms[a], atoms[b]))) + kind for a, b, kind in bonds)]
    for _ in range(radius):
        told = [",".join(sorted(kind + names[j] for j, kind in around)) for around in near]
        names = [f"{crc32(f'{name}|{around}'.encode()):x}" for name, around in zip(names, told, strict=True)]
        found += names
    return found


def pieces(smiles: str, longest: int = 4) -> list[str]:
    """Give every run of up to so many symbols of the text."""
    symbols = ["".join(found) for found in TOKEN.findall(smiles)]
    return ["~" + "".join(symbols[i : i + n]) for n in range(1, longest + 1) for i in range(len(symbols) - n + 1)]


def by_rdkit(smiles: str, radius: int = 2) -> list[str]:
    """Give RDKit's Morgan substructures; none for a text that it cannot read."""
    from rdkit import Chem, RDLogger
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    RDLogger.DisableLog("rdApp.*")
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return []
    counts = GetMorganGenerator(radius=radius).GetSparseCountFingerprint(molecule).GetNonzeroElements()
    return [f"{name:x}" for name, n in counts.items() for _ in range(n)]


def words(found: Iterable[str]) -> list[str]:
    """Tell how often each substructure is there by words of its own: once, at least twice, four times, eight times.

    Examples
    --------
    >>> words(["C", "C", "O"])
    ['C*1', 'C*2', 'O*1']
    """
    return [f"{name}*{n}" for name, count in Counter(found).items() for n in (1, 2, 4, 8) if count >= n]
