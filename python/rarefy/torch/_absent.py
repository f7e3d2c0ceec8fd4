"""Gradients that absent connections would have, from what the backward passes of a step left in their buffers."""

from ._embedding import SparseEmbeddingBag
from ._layers import shared_places, sparse_layers


class Watch:
    """Keeps the buffers of all backward passes through a model's sparse layers while it is on: one step."""

    def __init__(self, model):
        self._model, self._is_on = model, False

    def start(self):
        """Begins."""
        self._is_on = True
        for keeper in self._keepers():
            keeper.record = []

    def stop(self):
        """Lets go of all that was kept."""
        if self._is_on:
            for keeper in self._keepers():
                keeper.record = None
        self._is_on = False

    def seen(self):
        """For each layer the backward passes that went through it: each with the number of the layer's weight in it, or
        the gradients of rows.
        """
        found = {}
        for layer, keeper, weight in self._places():
            kept = keeper.record or ()
            found.setdefault(layer, []).extend(it if weight is None else (it, weight) for it in kept)
        return found

    def _places(self):
        """Each layer, whoever keeps what goes through it, and which of the weights there is its own.

        They are found anew each time, because a change of the modules makes other chains.
        """
        for _, layer in sparse_layers(self._model):
            yield (layer, layer, None) if isinstance(layer, SparseEmbeddingBag) else (layer, layer._chain, 0)
        yield from shared_places(self._model)

    def _keepers(self):
        return {id(keeper): keeper for _, keeper, _ in self._places()}.values()
