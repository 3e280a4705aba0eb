"""The public files that the loaders use: size, SHA-256 and upstream address (facts about the files, never the data)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class File:
    """One upstream file.

    Parameters
    ----------
    path : str
        Where it lies in a data folder.
    bytes : int
        Its size.
    sha256 : str
        Its hash.
    upstream : str or None
        ``owner/repository/commit/path`` on GitHub; None where the exact address is not known, and the file has to be
        put in place by hand.
    """

    path: str
    bytes: int
    sha256: str
    upstream: str | None

    @property
    def url(self) -> str | None:
        """The address to download from."""
        return f"{RAW}/{self.upstream}" if self.upstream else None


# Commits in full (the server may refuse abbreviations), each one at which the file has the content hashed below; of
# tox21 only the first twelve digits are known.
_MALSAR = "jiayuzhou/MALSAR/ca3d55b878cc4113f0d9603e8ac46538aeb1ecd9/data"
_PARKINSONS = "behnazrzf/Parkinson-s_Telemonitoring/f603774b38bfc967f20b4752bec4b6f872917d98"
_STUDENT = "cmh325/StatisticalRethinking/df933c92a682a8cfc8b091f3ba2bca7c8ad23784"
_SARCOS = "probml/pmtkdata/1f3ffa3d21a38c8e9e5010dcedb71262b35b446a"
_MULAN = "tsoumakas/mulan/49efcccb0666c59f57d942c13c6184af028c7650/data/multi-target"
_MULAN_FIRST = "tsoumakas/mulan/122fce8fbefdb292ba3acbb03867a7fc8f1dcaa9/data/multi-target"
_RF1 = "Zhendong-Wang/Probabilistic-Conformal-Prediction/e6f505beaf07f208cb496f85ac91fd37482677c6/data"
_BEIJING = "Peiris94-dev/Beijing-Multi-Site-Air-Quality-Analysis/0aa46c055fcca7da49ebac9329435ffe674b74c3"
_HILLSTROM = "a-raulet/project-02-causal-inference/413d9285d7aca0ca0099118adaa1210409e60bc7/data/raw"
_TOX21 = "deepchem/deepchem/fbe3b911a94a/datasets"

# Folders of many files, which are listed in manifest.csv: prefix here -> upstream prefix, the longest prefix counts. Of
# some commits only the first twelve digits are known. coco128_320px (shrunk) and mnist (repacked) are upstream nowhere.
_UPSTREAM = {
    "bccd/": "Shenggan/BCCD_Dataset/d272fb14cdff/BCCD/",
    "bccd/wbc_": "apple2373/BCCD/73e268a747db2f39d21850e71baceb94d058f8af/",
    "fdu_mtl/": "ccsasuke/man/7ac8140b0bb561ac256cea439116b0d59bed5684/data/fdu-mtl/",
    "fsdd/": "Jakobovski/free-spoken-digit-dataset/26eb9aaf76e8/",
    "joint_nlu/": "monologg/JointBERT/00324f60dda4/data/",
}

# path, bytes, SHA-256, upstream folder (None: not known)
_TABLE: tuple[tuple[str, int, str, str | None], ...] = (
    (
        "beijing_air/PRSA_Data_Aotizhongxin_20130301-20170228.csv",
        2_835_916,
        "a94fbcfc71708b6ffdc033360163d91efb7f675e496f6b5860929aa96b96351b",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Changping_20130301-20170228.csv",
        2_722_295,
        "a2e21402a6d95fb7043f87959e6e3dcbecb957aac356a6f8028a85b047c772e7",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Dingling_20130301-20170228.csv",
        2_675_856,
        "3d8dff81f18a80d9f455876a785642bffe1e9b9924ec1e6b7ce8cca790432eeb",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Dongsi_20130301-20170228.csv",
        2_636_684,
        "9c0020214425e5ee2a64d42f97a1f632e1d8f6b53ad50edd85a686cc7999f27e",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Guanyuan_20130301-20170228.csv",
        2_695_860,
        "59390fee3b032597b387491f5230e7edb90a8558e30217ebd6d9befbe669fbf9",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Gucheng_20130301-20170228.csv",
        2_654_625,
        "10ae48801ea55869fee56a48b885fb1127859c130551888d71673f34216ba951",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Huairou_20130301-20170228.csv",
        2_641_027,
        "812dcbe848b3ba2c2d25731064797bff803c46eb0c602156a1fa044df136dc26",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Nongzhanguan_20130301-20170228.csv",
        2_839_705,
        "572cf87b65ef543cd55d3a711b28474def224a46b0ec3fc8add8aaf13b67a487",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Shunyi_20130301-20170228.csv",
        2_620_654,
        "520b59e4ead3b0cfe7f1ed673e30275de8441e999db6f413d5172d2277b8c15a",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Tiantan_20130301-20170228.csv",
        2_655_061,
        "0743e34799cf1ee36195b73321b91baa5625276532e7263c588f68cdef3b4daa",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Wanliu_20130301-20170228.csv",
        2_659_544,
        "0b1a6d754a07f0def2f55434ddfa3870dcd0063b7f766a6f66b6c11bb05a377a",
        _BEIJING,
    ),
    (
        "beijing_air/PRSA_Data_Wanshouxigong_20130301-20170228.csv",
        2_871_076,
        "ab1d6a356d6997a45f6d657ad47de1e05a4a08d4a7015b38a329a90665ab74d0",
        _BEIJING,
    ),
    (
        "hillstrom/hillstrom.csv",
        4_028_960,
        "573789db3171540ac61fcbb404d3b2bf64aaade0127526208e65a921af970d2f",
        _HILLSTROM,
    ),
    ("mulan_mtr/andro.arff", 10_346, "08f0e2757b2a7635136ac58ea76c4e801ffeb0a81116b29e6ac169228c8aa132", _MULAN),
    (
        "mulan_mtr/atp1d.arff",
        1_103_985,
        "ed935ba476c4994ba40d6712d590fb389709cceba7cf7dbbb33ef28c84762bb9",
        _MULAN_FIRST,
    ),
    ("mulan_mtr/edm.arff", 13_939, "37777374030f592a53cbcf597ae0aa6105238a1c696dd04ccb229be982f6bc5b", _MULAN),
    ("mulan_mtr/enb.arff", 40_203, "8277d9094ccda6da2cd1c2b79c90ca201fa3695e75aca173ffc43138dcab0071", _MULAN),
    ("mulan_mtr/jura.arff", 24_681, "78ce7655f49073e3622ef7ba25657b3900a2b279ba3d48cb82e353e56bac3d2a", _MULAN_FIRST),
    ("mulan_mtr/oes97.arff", 559_271, "aee74aa656c709f797f45d817c41996be94c2e924c0f1e7ad315fb7e2f1a9498", _MULAN_FIRST),
    ("mulan_mtr/rf1.arff", 3_019_482, "994f9e334811e040d2002e46d3ce06504e5d441249bf65448f53d6ea24b33cf0", _RF1),
    ("mulan_mtr/sf1.arff", 12_732, "8f78e64aca64f7c0c7ba4d9b2f114feb2a6f72e6116e87d7dab94e7cab426d93", _MULAN_FIRST),
    ("mulan_mtr/wq.arff", 316_219, "4a0906b4a51bf52c986790ddaf261ba51faa3da9cffe823badabd88d38d252fe", _MULAN),
    (
        "parkinsons/parkinsons_updrs.data",
        911_261,
        "f2c7d5025dec4e92e7feae367a5f7ccf58789a10ac6b54bdf15976c599f9dd39",
        _PARKINSONS,
    ),
    (
        "sarcos/sarcos_inv_test.mat",
        996_776,
        "161a59b5c3b4f4b404584323f181607b2acbe620eb134dc720760dc3f38f5cec",
        _SARCOS,
    ),
    ("school/school.mat", 44_759, "57fb3238fdd03a9aa17276e2ce18d9bbb5d128c3261e794fe6233b58b6909068", _MALSAR),
    ("student/student-mat.csv", 71_216, "1e6b1e15d9ad626b79de10e704acb65a1ff2ac2216418d447abe1c477eb59704", _STUDENT),
    ("student/student-por.csv", 93_220, "a7594a11d7771c0efe1a740824e0e833da9c4cad07c39a9766a874575563fb3f", None),
    ("tox21/tox21.csv.gz", 125_310, "48b34e4e59a2bae6f95734cd206c1869ab355f50a5e50bb7371a21f861d5e297", _TOX21),
)

FILES: dict[str, File] = {
    path: File(path, size, sha256, f"{folder}/{path.rpartition('/')[2]}" if folder else None)
    for path, size, sha256, folder in _TABLE
}


@cache
def listed() -> dict[str, File]:
    """Give the files of the folders with many (pictures, sounds, texts), from ``manifest.csv``, read once."""
    with (Path(__file__).parent / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    return {path: File(path, int(size), sha256, _upstream(path)) for path, size, sha256 in rows}


@cache
def under(folder: str) -> tuple[str, ...]:
    """Give the listed files under a folder, sorted.

    Examples
    --------
    >>> under("mnist")
    ('mnist/mnist20k.npz',)
    """
    return tuple(sorted(path for path in listed() if path.startswith(f"{folder}/")))


def _upstream(path: str) -> str | None:
    prefix = max((known for known in _UPSTREAM if path.startswith(known)), key=len, default=None)
    return None if prefix is None else _UPSTREAM[prefix] + path[len(prefix) :]
