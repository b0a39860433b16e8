"""Multi-task architectures, one paper a file: who shares what, and what is a task's own."""

from gan_mtl.games.architectures.architecture import Architecture as Architecture
from gan_mtl.games.architectures.architecture import Represented as Represented
from gan_mtl.games.architectures.architecture import from_forward as from_forward
from gan_mtl.games.architectures.cross_stitch import cross_stitch as cross_stitch
from gan_mtl.games.architectures.dselect_k import dselect_k as dselect_k
from gan_mtl.games.architectures.hard_sharing import hard_sharing as hard_sharing
from gan_mtl.games.architectures.ltb import ltb as ltb
from gan_mtl.games.architectures.mmoe import mmoe as mmoe
from gan_mtl.games.architectures.mtan import Block as Block
from gan_mtl.games.architectures.mtan import mtan as mtan
from gan_mtl.games.architectures.ple import Level as Level
from gan_mtl.games.architectures.ple import cgc as cgc
from gan_mtl.games.architectures.ple import ple as ple
from gan_mtl.games.architectures.shared_private import shared_private as shared_private
from gan_mtl.games.architectures.soft_sharing import l2_tie as l2_tie
from gan_mtl.games.architectures.soft_sharing import soft_sharing as soft_sharing
from gan_mtl.games.architectures.soft_sharing import trace_norm_tie as trace_norm_tie
from gan_mtl.games.architectures.transfer import transfer as transfer
