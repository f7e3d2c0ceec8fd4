//! The arithmetic. Who splits work between threads stands here, the inner loops below in `arch`.
//!
//! | operation | formula | file |
//! |---|---|---|
//! | spmm | `Y[r] = f(b[r] + sum_c W[r, c] X[c])`, each `X[c]` a row of 64 samples | `spmm` |
//! | spmm of the transpose | `dX[c] = f'(X[c]) * sum_r W[r, c] dY[r]` | `spmm` on the transposed index |
//! | sddmm | `dW[r, c] = sum over samples of dY[r] X[c]`, for stored `(r, c)` only | `sddmm` |
//! | gradient of a bias | `db[r] = sum over samples and positions of dY[r]` | `bias` |
//! | products of blocks | the same three where several outputs have the same inputs | `blocks`, `bf16` |
//! | convolution | the same three over windows of positions | `conv` |
//! | convolution of one sample | the forward product with positions as lanes | `conv_spread` |
//! | attention | `softmax(Q K^T) V` of each head and sample, and its gradients | `attention` |
//! | a few lines of spmm | the same for whoever has to split the work, step after step | `piecewise` |
//! | spmm of one lane | the same for one or two samples, bit for bit | `narrow` |
//! | sparse input | the same for an input of which only the nonzeros are kept | `sparse_input` |
//! | embedding | the rows of `W` that tokens name, and the gradient of those rows | `lookup` |
//! | dense products | the same three on dense storage, through the `gemm` crate or on bf16 numbers | `dense`, `conv_dense` |
//!
//! Inner loops exist once per instruction set, in `arch/scalar` (the readable oracle), `avx2`, `avx512` and `neon`, under
//! the same names. Threads split rows and tiles (`rayon::join`, so a caller picks the pool); each output number is
//! computed by one thread in a fixed order and sums over tiles follow a fixed binary tree (`tree`), so results are
//! the same bits for any number of threads, and a sample's outputs do not depend on its batch.

mod activation;
mod arch;
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod bias;
mod blocks;
mod conv;
mod conv_blocks;
mod conv_dense;
mod conv_spread;
mod convolution;
mod dense;
mod isa_choice;
mod lookup;
mod narrow;
mod panels;
mod piecewise;
mod product;
mod sddmm;
mod sparse_input;
mod split;
mod spmm;
mod tree;
mod windows;

pub use activation::Activation;
pub(crate) use arch::Shared;
pub use arch::{Epilogue, Isa, TileSupport, Vectorized};
#[doc(hidden)]
pub use arch::{fetch_ahead, fetch_place, measure_pairs_peak, measure_peak};
pub use attention::{Heads, attend, attend_backward};
pub use bias::bias_gradient;
pub use convolution::Convolution;
pub use isa_choice::IsaChoice;
pub use lookup::{Padding, Tokens, look_up, look_up_gradient, look_up_slots};
pub(crate) use piecewise::{Panel, Piecewise};
pub(crate) use product::is_narrowed;
pub use product::{
    Product, multiply, multiply_transposed, sparse_input_gradient, sparse_input_slots, weight_gradient,
};
pub(crate) use split::par_alike;
#[doc(hidden)]
pub use split::{par_chunk_pairs, par_chunks};
pub use tree::{join_in_tree, sum_lanes};
pub use windows::{Geometry, MAX_OFFSETS, Windows};
