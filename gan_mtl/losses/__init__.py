"""Losses: pure functions, one value per example; reduction, mask and weight are the caller's.

`regularizers` are optax transformations and stay in their module, as their names (`l1`, `l2`) are
also those of losses.
"""

from gan_mtl.losses import adversarial as adversarial
from gan_mtl.losses import penalties as penalties
from gan_mtl.losses import regularizers as regularizers
from gan_mtl.losses import semi_supervised as semi_supervised
from gan_mtl.losses import sharing as sharing
from gan_mtl.losses import tasks as tasks
from gan_mtl.losses.adversarial import AdversarialLoss as AdversarialLoss
from gan_mtl.losses.adversarial import hinge as hinge
from gan_mtl.losses.adversarial import least_squares as least_squares
from gan_mtl.losses.adversarial import minimax as minimax
from gan_mtl.losses.adversarial import non_saturating as non_saturating
from gan_mtl.losses.adversarial import relativistic as relativistic
from gan_mtl.losses.adversarial import relativistic_average as relativistic_average
from gan_mtl.losses.adversarial import wasserstein as wasserstein
from gan_mtl.losses.penalties import dragan as dragan
from gan_mtl.losses.penalties import gradient_penalty as gradient_penalty
from gan_mtl.losses.penalties import r1 as r1
from gan_mtl.losses.penalties import r2 as r2
from gan_mtl.losses.regularizers import clip_weights as clip_weights
from gan_mtl.losses.regularizers import l2_sp as l2_sp
from gan_mtl.losses.semi_supervised import entropy as entropy
from gan_mtl.losses.semi_supervised import feature_matching as feature_matching
from gan_mtl.losses.semi_supervised import pull_away as pull_away
from gan_mtl.losses.sharing import orthogonality as orthogonality
from gan_mtl.losses.sharing import relation_penalty as relation_penalty
from gan_mtl.losses.sharing import trace_norm as trace_norm
from gan_mtl.losses.sharing import trace_norm_prox as trace_norm_prox
from gan_mtl.losses.tasks import binary_cross_entropy as binary_cross_entropy
from gan_mtl.losses.tasks import cross_entropy as cross_entropy
from gan_mtl.losses.tasks import huber as huber
from gan_mtl.losses.tasks import l1 as l1
from gan_mtl.losses.tasks import l2 as l2
from gan_mtl.losses.tasks import masked_mean as masked_mean
