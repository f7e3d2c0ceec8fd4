"""Gradients that absent connections would have, from what the backward passes of a step left in their buffers."""

from ._embedding import SparseEmbeddingBag
from ._layers import shared_places
from ._module import SparseModule


class Watch:
    """Keeps the buffers of all backward passes through a model's sparse layers while it is on: one step."""

    def __init__(self, model):
        # For each layer whoever keeps what went through it, and which of the weights there is its own.
        self._places = {}
        for module in model.modules():
            if isinstance(module, SparseEmbeddingBag):
                self._places[module] = [(module, None)]
            elif isinstance(module, SparseModule):
                self._places[module] = [(module._chain, 0)]
        for layer, chain, weight in shared_places(model):
            self._places[layer].append((chain, weight))

    def start(self):
        """Begins."""
        for keeper in self._keepers():
            keeper.record = []

    def stop(self):
        """Lets go of all that was kept."""
        for keeper in self._keepers():
            keeper.record = None

    def seen(self, layer):
        """The backward passes that went through a layer: each with the number of the layer's weight in it, or the
        gradients of rows.
        """
        kept = [(it, weight) for keeper, weight in self._places[layer] for it in keeper.record or ()]
        return [it if weight is None else (it, weight) for it, weight in kept]

    def _keepers(self):
        return {id(keeper): keeper for places in self._places.values() for keeper, _ in places}.values()
