"""Game builders: networks, tasks and coefficients in, a table that can be played out."""

from gan_mtl.games import architectures as architectures
from gan_mtl.games import gan_rows as gan_rows
from gan_mtl.games import layouts as layouts
from gan_mtl.games.adversaries import Adversary as Adversary
from gan_mtl.games.adversaries import MultiPlayers as MultiPlayers
from gan_mtl.games.augmented import augmented as augmented
from gan_mtl.games.augmented import crop_and_flip as crop_and_flip
from gan_mtl.games.combined import combined as combined
from gan_mtl.games.domain_adversarial import cdan as cdan
from gan_mtl.games.domain_adversarial import dann as dann
from gan_mtl.games.domain_adversarial import dann_schedule as dann_schedule
from gan_mtl.games.domain_alignment import coral as coral
from gan_mtl.games.domain_alignment import jan as jan
from gan_mtl.games.domain_alignment import mmd as mmd
from gan_mtl.games.domains import Domains as Domains
from gan_mtl.games.domains import source_task as source_task
from gan_mtl.games.gan import Extras as Extras
from gan_mtl.games.gan import gan as gan
from gan_mtl.games.map_players import MapOptimizers as MapOptimizers
from gan_mtl.games.map_players import MapPlayers as MapPlayers
from gan_mtl.games.map_players import Synthetic as Synthetic
from gan_mtl.games.map_players import from_step as from_step
from gan_mtl.games.multi_adversarial import multi_adversarial as multi_adversarial
from gan_mtl.games.multitask import multitask as multitask
from gan_mtl.games.oasis import oasis as oasis
from gan_mtl.games.pix2pix import pix2pix as pix2pix
from gan_mtl.games.players import Latents as Latents
from gan_mtl.games.players import Optimizers as Optimizers
from gan_mtl.games.players import Players as Players
from gan_mtl.games.scenes import Augment as Augment
from gan_mtl.games.scenes import Code as Code
from gan_mtl.games.scenes import Contrast as Contrast
from gan_mtl.games.scenes import Controlled as Controlled
from gan_mtl.games.scenes import Information as Information
from gan_mtl.games.scenes import Penalty as Penalty
from gan_mtl.games.scenes import Row as Row
from gan_mtl.games.scenes import Scene as Scene
from gan_mtl.games.scenes import Unroll as Unroll
from gan_mtl.games.segmentation_adversary import (
    segmentation_adversary as segmentation_adversary,
)
from gan_mtl.games.semi_supervised import Weights as Weights
from gan_mtl.games.semi_supervised import semi_supervised as semi_supervised
from gan_mtl.games.simultaneous import at_once as at_once
from gan_mtl.games.simultaneous import simultaneous as simultaneous
from gan_mtl.games.tasks import Task as Task
from gan_mtl.games.tasks import class_task as class_task
from gan_mtl.games.tasks import entropy_task as entropy_task
from gan_mtl.games.tasks import labelled as labelled
from gan_mtl.games.tasks import rotation_task as rotation_task
from gan_mtl.games.tasks import shift as shift
from gan_mtl.games.vision_tasks import depth_task as depth_task
from gan_mtl.games.vision_tasks import detection_task as detection_task
from gan_mtl.games.vision_tasks import presence_task as presence_task
from gan_mtl.games.vision_tasks import reconstruction_task as reconstruction_task
from gan_mtl.games.vision_tasks import segmentation_task as segmentation_task
