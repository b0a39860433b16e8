"""Weightings and aggregators: how the objectives of a turn become one direction.

Two rules hold for all that see gradients. A row of zeros (a task without labels in the batch, or a
square that underflows) leaves everything finite: methods with a Gramian give it weight 0 and the
other rows what they would get without it, constants such as 1 / T apart; methods with running
averages leave its average alone. A row that is not finite gets the weight NaN, which names the
task, and the other rows what they would get without it; the direction is then NaN, so that the
step cannot pass for a good one.
"""

from gan_mtl.mtl.aligned import aligned as aligned
from gan_mtl.mtl.cagrad import cagrad as cagrad
from gan_mtl.mtl.conflict_free import conflict_free as conflict_free
from gan_mtl.mtl.cr_mogm import cr_mogm as cr_mogm
from gan_mtl.mtl.dbmtl import dbmtl as dbmtl
from gan_mtl.mtl.dualproj import dualproj as dualproj
from gan_mtl.mtl.dwa import dwa as dwa
from gan_mtl.mtl.equal import equal as equal
from gan_mtl.mtl.excess import excess as excess
from gan_mtl.mtl.fairgrad import fairgrad as fairgrad
from gan_mtl.mtl.famo import famo as famo
from gan_mtl.mtl.fixed import fixed as fixed
from gan_mtl.mtl.gls import gls as gls
from gan_mtl.mtl.gman import gman as gman
from gan_mtl.mtl.graddrop import graddrop as graddrop
from gan_mtl.mtl.gradnorm import gradnorm as gradnorm
from gan_mtl.mtl.gradvac import gradvac as gradvac
from gan_mtl.mtl.gramian import combine as combine
from gan_mtl.mtl.gramian import from_weighting as from_weighting
from gan_mtl.mtl.gramian import gramian as gramian
from gan_mtl.mtl.hypervolume import hypervolume as hypervolume
from gan_mtl.mtl.imtl_g import imtl_g as imtl_g
from gan_mtl.mtl.imtl_l import imtl_l as imtl_l
from gan_mtl.mtl.krum import krum as krum
from gan_mtl.mtl.learned_simplex import learned_simplex as learned_simplex
from gan_mtl.mtl.log_sum import log_sum as log_sum
from gan_mtl.mtl.mgda import mgda as mgda
from gan_mtl.mtl.moco import moco as moco
from gan_mtl.mtl.modo import modo as modo
from gan_mtl.mtl.nash import nash as nash
from gan_mtl.mtl.pcgrad import pcgrad as pcgrad
from gan_mtl.mtl.rlw import rlw as rlw
from gan_mtl.mtl.sdmgrad import sdmgrad as sdmgrad
from gan_mtl.mtl.stch import stch as stch
from gan_mtl.mtl.trimmed_mean import trimmed_mean as trimmed_mean
from gan_mtl.mtl.uncertainty import uncertainty as uncertainty
from gan_mtl.mtl.upgrad import upgrad as upgrad
