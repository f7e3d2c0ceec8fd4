"""State dicts that sparse layers load: of other connections, and of dense layers."""

import torch

PARTS = ("values", "crow_indices", "col_indices")


def prepare_load(layer, state_dict, prefix, error_messages):
    """Before a sparse layer loads: gives it the pattern that is to be loaded, or finds its values in a dense weight."""
    if prefix + "weight" in state_dict and prefix + "values" not in state_dict:
        weight = state_dict.pop(prefix + "weight")
        if weight.shape != layer.shape:
            error_messages.append(
                f"size mismatch for {prefix}weight: copying a dense weight with shape {weight.shape} from checkpoint, "
                f"the sparse layer has shape {layer.shape}."
            )
            weight = layer.to_dense().detach()
        state_dict[prefix + "values"] = at_connections(weight, layer.crow_indices, layer.col_indices)
        state_dict[prefix + "crow_indices"] = layer.crow_indices
        state_dict[prefix + "col_indices"] = layer.col_indices
        return
    parts = [state_dict.get(prefix + part) for part in PARTS]
    if not all(isinstance(part, torch.Tensor) for part in parts):
        return  # torch says what is missing.
    values, crow, col = parts
    if torch.equal(crow, layer.crow_indices) and torch.equal(col, layer.col_indices):
        return
    try:
        layer.set_pattern_(crow, col, values)
    except (TypeError, ValueError) as error:
        error_messages.append(f"pattern mismatch for {prefix}values: {error}.")
        for part in PARTS:
            state_dict[prefix + part] = getattr(layer, part).detach()


def at_connections(weight, crow, col):
    """The numbers of a dense weight at the connections of a pattern of its rows."""
    rows = torch.repeat_interleave(torch.arange(len(crow) - 1), crow.diff().long())
    return weight.detach().reshape(len(crow) - 1, -1)[rows, col.long()]
