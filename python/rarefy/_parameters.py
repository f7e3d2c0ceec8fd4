"""What parameters and attributes of estimators of networks mean, said once."""

from ._docstrings import documenting

PARAMETERS = """\
hidden_layer_sizes : int or sequence of int, default=(100,)
    The units of each hidden layer; ``()`` for a linear model.
activation : str, default="relu"
    The function after each hidden layer: "relu", "leaky-relu", "all-relu", "tanh", "sigmoid", "gelu", "silu" or
    "identity".
sparsity : float or "auto", default="auto"
    The share of connections that the network is without, from 0 to below 1. "auto" is 0.9; with a ``penalty`` the
    network then starts with all connections and loses those that the penalty makes 0, and a ``target`` takes its
    place. Each output keeps a connection: where that makes a small network denser than was asked for, a warning
    says so.
method : str, default="auto"
    How connections move: "rigl" (which "auto" is, "static" with a ``penalty``), "static", "set", "gse", "mest",
    "cht", "gmp", "granet", "acdc", "srigl" or "top-kast".
allocation : {"erk", "er", "uniform"}, default="erk"
    How the connections are shared out over layers.
block : int or "auto", default=1
    Neighbouring units, filters or gates that share their inputs: 1, 2, 4, 8 or 16. Training is faster, for a little
    accuracy at the same ``sparsity``. "auto" takes in each layer the largest up to 8 that leaves 32 sets of inputs.
target : float, dict or None, default=None
    What the network is to end as: a sparsity, or one of ``{"sparsity": 0.98}``, ``{"nnz": 50_000}``, ``{"bytes":
    60_000}`` and ``{"flops": 2_000_000}``.
penalty : str or None, default=None
    What pulls weights to 0: "l1", "elastic-net", "group-neurons", "group-inputs", "mcp", "l-half", "str" or "l0-gates".
lam : float or None, default=None
    Its strength (lambda); None is that of the method, or what reaches the ``target``.
solver : str, default="adam"
    The optimizer: "adam", "adamw", "sgd", "rmsprop", "adagrad", "prodigy", "schedule-free-sgd",
    "schedule-free-adamw", "armijo", "barzilai-borwein", "linbreg" or "adabreg".
alpha : float, default=0.0
    L2 penalty as scikit-learn counts it: a weight decay of ``alpha`` over the samples of a batch. Biases are exempt.
batch_size : int or "auto", default="auto"
    Samples of a mini-batch; "auto" is what the library takes for so many samples.
learning_rate_init : float, "auto" or None, default=None
    The learning rate, which ``schedule`` multiplies. None is that of the solver; "auto" finds it while training, by
    "prodigy".
schedule : str or None, default=None
    How the learning rate changes: "cosine", which None is where the solver goes with it, "constant", "step",
    "linear" or "one-cycle".
momentum, nesterovs_momentum : float, default=0.0, and bool, default=False
    Momentum of the solvers "sgd", "rmsprop" and "linbreg", and Nesterov's variant of that of "sgd".
beta_1, beta_2, epsilon : float, default=0.9, 0.999 and None
    Smoothing of Adam's moments, and what is added to the root that divides the gradient (None: that of the solver).
dropout : float, default=0.0
    The share of hidden units dropped while training.
clip_norm : float or None, default=None
    The longest gradient, as a Euclidean norm over all weights.
max_iter : int, default=100
    Epochs.
tol, n_iter_no_change : float, default=0.0, and int, default=10
    With ``early_stopping`` training ends when for ``n_iter_no_change`` epochs no validation score has been better
    than the best by more than ``tol``. Without, and without a validation part, a ``tol`` above 0 looks at the
    training loss instead; by default all epochs are trained, because the learning rate is planned to fall until the
    last.
early_stopping : bool, default=False
    Whether to set ``validation_fraction`` of the samples aside, to stop when they are predicted no better, and to
    keep the best epoch's network. Accuracy or R2 tells, of labels and with ``class_weight`` the loss.
validation_fraction : float, default=0.1
    The share set aside.
warm_start : bool, default=False
    Whether ``fit`` goes on from the network that there is, by a new optimizer, with features scaled as they were.
random_state : int, RandomState instance or None, default=None
    What all random draws follow from.
n_jobs : int or None, default=None
    Threads; None and -1 for all that the process may use (within joblib's workers: their share). It changes no result.
verbose : bool, default=False
    Whether to tell of each epoch.
callbacks : list of callable, default=None
    Each is called after every epoch with its record, a dict ("epoch", "train_loss", "validation_accuracy",
    "density", ...); a true result ends training there. One that has a ``close`` is closed in the end.
settings : dict or None, default=None
    Any other setting by its dotted key, as in ``{"topology.every": 50}``; they win over parameters.
class_weight : dict, "balanced" or None, default=None
    What an error of each class counts: by class, 1 where there is none, or "balanced" for as much for each class. Not
    for labels.
loss : str, default="auto"
    What is minimised: "mean-squared-error", which "auto" is, "huber", "absolute", or "quantile" for the median, or for
    what ``settings={"loss.quantile": 0.9}`` names."""

ATTRIBUTES = """\
coefs_ : list of csr_array of shape (inputs, outputs)
    The weights of each layer.
intercepts_ : list of ndarray of shape (outputs,)
    The biases of each layer.
loss_, best_loss_ : float
    The loss of the last epoch, and the lowest (None with a validation part).
loss_curve_, validation_loss_curve_, validation_scores_ : list of float
    The mean training loss of each epoch, and loss and score (accuracy or R2) on the validation part (None without one).
sparsity_, nnz_ : float and int
    The share of connections that the network is without, and how many it has.
density_curve_ : list of float
    The share of connections after each epoch.
topology_history_ : list of (int, int)
    Connections dropped and grown in each epoch.
n_iter_, t_ : int
    Epochs of the last ``fit``, or of all calls of ``partial_fit``; samples trained on.
n_outputs_, n_layers_, out_activation_ : int, int and str
    Outputs, layers (inputs and outputs included), and the function of the outputs."""


documented = documenting(PARAMETERS, ATTRIBUTES)
