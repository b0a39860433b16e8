"""Every public weighting and aggregator, by name."""

import inspect

from gan_mtl import mtl

FACTORIES = {
    name: value
    for name, value in vars(mtl).items()
    if inspect.isfunction(value)
    and inspect.signature(value).return_annotation in ("Weighting", "Aggregator")
}


def make(name, tasks):
    """The method for so many tasks (three or more), with its defaults where it has them."""
    arguments = {
        "fixed": (tuple(0.1 * (i + 1) for i in range(tasks)),),
        "dwa": (3,),
        "krum": (tasks - 3, tasks),
        "trimmed_mean": (1,),
        "cr_mogm": (mtl.mgda(),),
        "from_weighting": (mtl.upgrad(),),
    }
    return FACTORIES[name](*arguments.get(name, ()))
