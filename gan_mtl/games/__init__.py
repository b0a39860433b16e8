"""Game builders: networks, tasks and coefficients in, a table that can be played out."""

from gan_mtl.games import architectures as architectures
from gan_mtl.games.adversaries import Adversary as Adversary
from gan_mtl.games.adversaries import MultiPlayers as MultiPlayers
from gan_mtl.games.combined import combined as combined
from gan_mtl.games.gan import Penalty as Penalty
from gan_mtl.games.gan import gan as gan
from gan_mtl.games.multi_adversarial import multi_adversarial as multi_adversarial
from gan_mtl.games.multitask import multitask as multitask
from gan_mtl.games.players import Latents as Latents
from gan_mtl.games.players import Optimizers as Optimizers
from gan_mtl.games.players import Players as Players
from gan_mtl.games.semi_supervised import Weights as Weights
from gan_mtl.games.semi_supervised import semi_supervised as semi_supervised
from gan_mtl.games.simultaneous import simultaneous as simultaneous
from gan_mtl.games.tasks import Task as Task
from gan_mtl.games.tasks import class_task as class_task
from gan_mtl.games.tasks import entropy_task as entropy_task
from gan_mtl.games.tasks import rotation_task as rotation_task
from gan_mtl.games.tasks import shift as shift
