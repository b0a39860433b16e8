"""gan_mtl: adversarial objectives and tasks as rows of one table.

`alternating(game)` makes the update of a game; `games` builds games; `losses`, `mtl` and `metrics`
are pure functions that need no trainer; `run` holds everything with side effects.
"""

from gan_mtl import games as games
from gan_mtl import losses as losses
from gan_mtl import metrics as metrics
from gan_mtl import mtl as mtl
from gan_mtl import nets as nets
from gan_mtl import parallel as parallel
from gan_mtl.types import Context as Context
from gan_mtl.types import Game as Game
from gan_mtl.types import Loss as Loss
from gan_mtl.types import Network as Network
from gan_mtl.types import Objective as Objective
from gan_mtl.types import Outcome as Outcome
from gan_mtl.types import Schedule as Schedule
from gan_mtl.types import TrainState as TrainState
from gan_mtl.types import Turn as Turn
from gan_mtl.types import Variables as Variables
from gan_mtl.update import alternating as alternating
from gan_mtl.update import variables_of as variables_of
