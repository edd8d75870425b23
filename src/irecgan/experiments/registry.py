"""All experiments by name. To add one: write its settings, cells, work and conclusion, and give it a row here."""

from typing import Any

from irecgan.errors import UserError
from irecgan.experiments.beyond import cell as beyond_cell
from irecgan.experiments.beyond import conclude as beyond_conclude
from irecgan.experiments.beyond import settings as beyond
from irecgan.experiments.bias import cell as bias_cell
from irecgan.experiments.bias import conclude as bias_conclude
from irecgan.experiments.bias import settings as bias
from irecgan.experiments.figure2 import cell as figure2_cell
from irecgan.experiments.figure2 import conclude as figure2_conclude
from irecgan.experiments.figure2 import settings as figure2
from irecgan.experiments.figure3 import cell as figure3_cell
from irecgan.experiments.figure3 import conclude as figure3_conclude
from irecgan.experiments.figure3 import settings as figure3
from irecgan.experiments.frame.study import Experiment
from irecgan.experiments.table1 import cell as table1_cell
from irecgan.experiments.table1 import conclude as table1_conclude
from irecgan.experiments.table1 import settings as table1

_TABLE: tuple[Experiment[Any, Any], ...] = (
    Experiment(
        "figure2",
        "policies learned offline, played in the simulated world (section 7.1)",
        figure2.PRESETS,
        figure2.cells,
        figure2_cell.work,
        figure2_conclude.conclude,
    ),
    Experiment(
        "figure3",
        "learning from scratch, online and offline in turn (section 7.1)",
        figure3.PRESETS,
        figure3.cells,
        figure3_cell.work,
        figure3_conclude.conclude,
    ),
    Experiment(
        "table1",
        "logged lists, reranked by every model (section 7.2)",
        table1.PRESETS,
        table1.cells,
        table1_cell.work,
        table1_conclude.conclude,
        inputs=table1.inputs,
    ),
    Experiment(
        "bias",
        "the bias of the learned value, with and without a discriminator (section 6)",
        bias.PRESETS,
        bias.cells,
        bias_cell.work,
        bias_conclude.conclude,
    ),
    Experiment(
        "beyond",
        "what wins beyond the paper: in worlds whose ceilings are known, and on lists",
        beyond.PRESETS,
        beyond.cells,
        beyond_cell.work,
        beyond_conclude.conclude,
        beyond.GROWS,
        beyond.inputs,
    ),
)

EXPERIMENTS = {experiment.name: experiment for experiment in _TABLE}


def find_experiment(name: str) -> Experiment[Any, Any]:
    """The experiment called ``name``; UserError lists the names there are."""
    if name not in EXPERIMENTS:
        raise UserError(f"experiment {name!r}: no such experiment; expected one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
