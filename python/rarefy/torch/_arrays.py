"""What is asked of torch's arrays, and how the compiled part is given them."""

import torch


def check_arrays(arrays):
    """Refuses what is not on the CPU, or not of float32."""
    for array in arrays:
        if array.layout is not torch.strided:
            raise TypeError(f"rarefy takes dense arrays, and is given one of {array.layout}; x.to_dense() makes it one")
        if array.device.type != "cpu":
            raise TypeError(f"rarefy computes on the CPU, and is given arrays on {array.device}")
        if array.dtype != torch.float32:
            raise TypeError(f"rarefy computes in float32, and is given arrays of {array.dtype}")


def numbers(tensor):
    """The numbers as NumPy's array in C order."""
    tensor = tensor.detach().resolve_neg()
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()
