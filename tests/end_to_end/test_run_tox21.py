"""Tox21: every method runs; molecules are read as chemistry has it; areas are over labels that are there."""

from __future__ import annotations

import numpy as np
import pytest
from examples.runs import tox21
from examples.runs.molecules import circles, graph, pieces, words

from relatask.data import load

SMALL = tox21.Settings(**tox21.QUICK)


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_the_quick_run_beats_chance(capsys: pytest.CaptureFixture[str]) -> None:
    found = dict(tox21.one("linear", 0, SMALL))
    assert len(found) == 14
    assert found["mean", "ROC-AUC"] > 0.6
    tox21.main(["--quick", "--methods", "hard"])
    assert "ROC-AUC" in capsys.readouterr().out


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_numbers_are_learned_on_training_molecules() -> None:
    texts, _, _ = tox21.read(SMALL.substructures, SMALL.molecules)
    rows, numbers = tox21.coded(0, SMALL)
    train = tox21.parts(len(texts), 0)["train"]
    seen = np.bincount(np.concatenate([rows[i] for i in train]), minlength=numbers)
    assert (seen[1:] >= SMALL.min_count).all()


def test_the_parts_share_no_molecule() -> None:
    dealt = tox21.parts(103, 0)
    assert sorted(np.concatenate(list(dealt.values())).tolist()) == list(range(103))
    assert [len(part) for part in dealt.values()] == [82, 10, 11]


@pytest.mark.parametrize(
    ("smiles", "atoms", "bonds"),
    [
        ("CC(=O)O", 4, 3),  # acetic acid
        ("c1ccccc1", 6, 6),  # benzene
        ("C1CC2CCC1C2", 7, 8),  # norbornane
        ("[Na+].[Cl-]", 2, 0),  # table salt
        ("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", 14, 15),  # caffeine
        ("C%12CCCCC%12", 6, 6),
        ("BrC(Cl)F", 4, 3),
    ],
)
def test_molecules_have_the_atoms_and_bonds_that_they_have(smiles: str, atoms: int, bonds: int) -> None:
    found = graph(smiles)
    assert (len(found[0]), len(found[1])) == (atoms, bonds)


@pytest.mark.parametrize(
    ("one", "other"), [("CCO", "OCC"), ("CC(=O)O", "OC(C)=O"), ("c1ccncc1C", "Cc1cnccc1"), ("C(F)(Cl)Br", "FC(Br)Cl")]
)
def test_a_molecule_written_otherwise_has_the_same_substructures(one: str, other: str) -> None:
    assert sorted(circles(one)) == sorted(circles(other))
    assert sorted(pieces(one)) != sorted(pieces(other))


def test_other_molecules_have_other_substructures() -> None:
    assert sorted(circles("CC=O")) != sorted(circles("CCO"))


def test_counts_are_words() -> None:
    assert words(["C"] * 5) == ["C*1", "C*2", "C*4"]


def test_areas_leave_missing_labels_out() -> None:
    truth = np.array([[0.0, 1.0], [1.0, np.nan], [np.nan, 0.0], [0.0, 1.0]])
    guess = np.array([[0.1, 0.5], [0.9, 0.0], [0.0, 0.1], [0.2, 0.6]])
    assert tox21.auc(guess, truth) == [1.0, 1.0]


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_atoms_and_bonds_are_those_of_rdkit() -> None:
    pytest.importorskip("rdkit")
    from examples.runs.molecules import by_rdkit
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    checked = 0
    for (smiles,) in load("tox21").X[::10]:
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is not None:
            atoms, bonds = graph(smiles)
            assert (len(atoms), len(bonds)) == (molecule.GetNumAtoms(), molecule.GetNumBonds()), smiles
            checked += 1
    assert checked > 790
    assert sorted(by_rdkit("CCO")) == sorted(by_rdkit("OCC"))
    assert by_rdkit("no molecule") == []
