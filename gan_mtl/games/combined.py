"""One predictor of several: F(x) = sum_i alpha_i f_i(x)."""

from __future__ import annotations

from collections.abc import Mapping

from gan_mtl.types import Array, Context, Game, Variables

COMBINED = "combined"


def combined(game: Game, alpha: Mapping[str, float]) -> Game:
    """The game with one more prediction, `predict["combined"]`: F(x) = sum_i alpha_i f_i(x).

    The f_i share what their networks share; they keep their own predictions. What is trained does
    not change: a loss of F itself is a task whose head is the sum.

    Args:
        alpha: by name of a prediction of the game, any number; outputs must have one shape.

    Raises:
        ValueError: for names that the game does not predict, or none; at the first use for outputs
            of different shapes.
    """
    unknown = sorted(set(alpha) - set(game.predict))
    if unknown or not alpha:
        raise ValueError(
            f"alpha names {unknown or 'no prediction'}; the game predicts {sorted(game.predict)}."
        )

    def predict(variables: Variables, inputs: Array, context: Context) -> Array:
        parts = {name: game.predict[name](variables, inputs, context) for name in alpha}
        shapes = {name: part.shape for name, part in parts.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"combined() adds outputs of one shape, got {shapes}.")
        return sum(a * parts[name] for name, a in alpha.items())  # pyright: ignore[reportReturnType]

    return game._replace(predict={**game.predict, COMBINED: predict})
