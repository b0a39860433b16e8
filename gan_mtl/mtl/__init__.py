"""Weightings and aggregators: how the objectives of a turn become one direction."""

from gan_mtl.mtl.dwa import dwa as dwa
from gan_mtl.mtl.equal import equal as equal
from gan_mtl.mtl.famo import famo as famo
from gan_mtl.mtl.fixed import fixed as fixed
from gan_mtl.mtl.gls import gls as gls
from gan_mtl.mtl.gman import gman as gman
from gan_mtl.mtl.gradnorm import gradnorm as gradnorm
from gan_mtl.mtl.gramian import combine as combine
from gan_mtl.mtl.gramian import from_weighting as from_weighting
from gan_mtl.mtl.gramian import gramian as gramian
from gan_mtl.mtl.hypervolume import hypervolume as hypervolume
from gan_mtl.mtl.imtl_l import imtl_l as imtl_l
from gan_mtl.mtl.learned_simplex import learned_simplex as learned_simplex
from gan_mtl.mtl.log_sum import log_sum as log_sum
from gan_mtl.mtl.rlw import rlw as rlw
from gan_mtl.mtl.stch import stch as stch
from gan_mtl.mtl.uncertainty import uncertainty as uncertainty
