"""Encoders: from columns, text, pictures and sounds to a representation. One encoder, one file.

Each has `features`, the width of what it gives. Padding never changes an output.
"""

from relatask.nets.encoders.bag import BagOfNgrams
from relatask.nets.encoders.bilstm import BiLSTM
from relatask.nets.encoders.log_mel import LogMel, LogMelCNN
from relatask.nets.encoders.others import HuggingFace, Timm
from relatask.nets.encoders.resnet import ResNet
from relatask.nets.encoders.states import MapHead, PictureStates, PooledHead, SentenceHead, TextStates, TokenHead
from relatask.nets.encoders.tabular import Hidden, Stem, TabularMLP
from relatask.nets.encoders.text_cnn import TextCNN
from relatask.nets.encoders.transformer import SmallTransformer

__all__ = [
    "BagOfNgrams",
    "BiLSTM",
    "Hidden",
    "HuggingFace",
    "LogMel",
    "LogMelCNN",
    "MapHead",
    "PictureStates",
    "PooledHead",
    "ResNet",
    "SentenceHead",
    "SmallTransformer",
    "Stem",
    "TabularMLP",
    "TextCNN",
    "TextStates",
    "Timm",
    "TokenHead",
]
