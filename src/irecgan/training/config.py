"""The settings of a training. The defaults are the paper's (7.1), or the official code's."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from irecgan.data.fitting import parse_wanted
from irecgan.errors import UserError
from irecgan.models.outputs import Output
from irecgan.models.recurrent import Cell, Size
from irecgan.models.terms import TERMS, TermName
from irecgan.models.user import Stop

_MOST = 10**12
"""No memory holds so much, and a few times as much still fits into torch's sizes of 64 bits."""
Positive = Annotated[int, Field(ge=1, le=_MOST)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _listed(given: Any) -> Any:
    """Names of terms as they are written in a setting."""
    if given is None:
        return ()
    if not isinstance(given, str):
        return given
    return TERMS if given == "all" else [name.strip() for name in given.split(",") if name.strip()]


Terms = Annotated[tuple[TermName, ...], BeforeValidator(_listed)]

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    # For catalogues of hundreds of items. At this rate the agent peaks after 3 to 6 epochs: rounds are kept short.
    "small": {"units": 128, "agent_learning_rate": 1e-3, "agent_epochs_per_round": 1},
    # One layer, as session recommenders have it: it finds what two layers do not before they stop.
    "gru": {"cell": "gru", "layers": 1, "units": 128, "embedding": 128, "agent_learning_rate": 3e-3},
    # For catalogues of tens of thousands to millions: no step grows with the catalogue.
    "large": {"output": "tied", "softmax": "sampled", "sparse": True, "agent_learning_rate": 1e-3},
}
"""Settings that go well together, as differences from the defaults."""


class TrainingConfig(BaseModel):
    """Everything that shapes a training besides the recipe, the log and the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding: Positive = 50
    units: Positive = 512
    layers: Positive = 2
    cell: Cell = "lstm"
    stop: Stop = "history"
    output: Output = "untied"  # of the agent: a row of weights for each item, or its embedding, projected
    terms: Terms = ()  # of U's click scores: names with a comma between them, or all

    softmax: Literal["full", "sampled"] = "full"  # that the agent learns by; held-out losses are always of the full one
    negatives: Positive = 1000  # items drawn for each batch, with softmax=sampled
    precision: Literal["float32", "bfloat16"] = "float32"  # of recurrent layers while they learn; bfloat16 on GPUs
    sparse: bool = False  # with softmax=sampled: of tables with a row for each item, Adam moves the rows a batch read

    item_features: str | None = None  # columns of items.parquet that models read: price,brand:category,tags:list or all
    context_features: str | None = None  # columns of the log that models read: device,hour or all
    missing_features: Literal["own", "average"] = "own"  # a value that is not there: a feature of its own, or none
    id_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # with item_features: share of ids that a batch does not see

    gamma: Annotated[float, Field(ge=0, le=1)] = 0.9
    lambda_r: Weight = 3.0
    lambda_p: Weight = 1.0

    weight_cap: Rate = 10.0  # of importance weights, in pgis
    top_k_correction: bool = False  # in pgis: the gradient of a slate's chance to hold the click
    advantage: Literal["td", "mc"] = "td"  # in ac and acu: one step ahead, or the whole return
    value_weight: Weight = 1.0  # of the value's error beside the policy's objective, in ac and acu

    # in slate: of the items in shown order, or of them as a set; by default in order where the softmax is full
    slate_likelihood: Literal["ordered", "set"] | None = None

    agent_learning_rate: Rate = 1e-4
    user_learning_rate: Rate = 5e-4
    discriminator_learning_rate: Rate = 1e-4
    terms_learning_rate: Rate = 0.03
    terms_prior: Rate = 1.0  # precision of a normal prior on weights of terms, in the steps that sharpen them
    user_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the state that U's click scores read, while U learns
    batch_size: Positive = 32
    agent_clip: Rate | None = 5.0  # largest norm of a gradient
    user_clip: Rate | None = None  # clipped, batches of long sessions would count for less: U would stop too soon
    discriminator_clip: Rate | None = 5.0

    user_epochs: Positive = 50  # at most; validation stops earlier
    agent_epochs: Positive = 50
    patience: Positive = 3  # epochs or rounds without a better validation loss before stopping
    discriminator_epochs: Positive = 3

    rounds: Positive = 10
    # after a round in which predicted value rose and held-out evidence fell; by default in all recipes but the paper's
    stop_on_exploitation: bool | None = None
    agent_epochs_per_round: Positive = 3
    user_epochs_per_round: Positive = 1
    generated_ratio: Rate = 0.1  # generated sessions per logged session
    completions: Positive = 5  # N of Eq. (6)
    discriminator_sessions: Positive = 1000  # generated for D in each round; never more than are logged

    distillation_epochs: Positive = 15  # at most, each with fresh sessions
    distillation_sessions: Positive = 2_000  # in an epoch
    distillation_learning_rate: Rate = 3e-3
    distillation_held_out: Positive = 500  # sessions of the planner by which the agent is stopped
    planner_share: Annotated[float, Field(ge=0, le=1)] = 0.5  # of them played by the planner, the others by the agent

    candidates: str | None = None  # in auto: recipes, with commas, the simplest first
    choose_by: Literal["users", "lists"] | None = None  # in auto: worth to fitted users, or places of clicks in lists

    slate_size: Positive | None = None  # items the agent shows; the log's median when not given
    max_length: Positive | None = (
        None  # clicks after which a generated session is cut; one more than the log's longest has
    )
    in_memory_steps: Count = 2_000_000  # a log of more steps is kept on disk, and shuffled block by block
    checkpoint_minutes: Weight | None = 10.0  # of an epoch after which its state is written; changes no weights
    wait_minutes: Annotated[float, Field(gt=0, le=10_000)] = 10.0  # for other processes; changes no weights

    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1  # held out when no validation log is given

    @field_validator("sparse")
    @classmethod
    def _needs_samples(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("softmax") == "full":
            raise ValueError("expected softmax=sampled with it: a full softmax reads every row")
        return value

    @field_validator("slate_likelihood")
    @classmethod
    def _needs_all_scores(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "ordered" and info.data.get("softmax") == "sampled":
            raise ValueError("expected softmax=full with it: an ordered slate is drawn from all items")
        return value

    @field_validator("item_features", "context_features")
    @classmethod
    def _names_columns(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            parse_wanted(value, str(info.field_name))
        return value

    @property
    def slates_as(self) -> Literal["ordered", "set"]:
        """What ``slate_likelihood`` comes to."""
        return self.slate_likelihood or ("ordered" if self.softmax == "full" else "set")

    def size(self, items: int) -> Size:
        """The dimensions of networks over a catalogue of ``items``."""
        return Size(items, self.embedding, self.units, self.layers, self.cell, self.output, terms=self.terms)

    def over(self, defaults: Mapping[str, Any]) -> "TrainingConfig":
        """These settings where they were given, and else ``defaults``.

        >>> TrainingConfig.parse(["units=64"]).over({"units": 8, "layers": 1}).size(5)
        Size(items=5, embedding=50, units=64, layers=1, cell='lstm', output='untied', terms=())
        """
        return self.checked({**defaults, **self.model_dump(exclude_unset=True)})

    @classmethod
    def of(cls, settings: "Mapping[str, Any] | TrainingConfig | None") -> "TrainingConfig":
        """Settings as `irecgan.train` takes them. Raises UserError as `checked`."""
        return settings if isinstance(settings, TrainingConfig) else cls.checked(dict(settings or {}))

    @classmethod
    def parse(cls, settings: Sequence[str], preset: str = "paper") -> "TrainingConfig":
        """Settings given as ``key=value``, which go before those of a preset of PRESETS.

        >>> TrainingConfig.parse(["units=64", "slate_size=none"]).units
        64

        Raises UserError that names the key, the value found and what is expected.
        """
        if preset not in PRESETS:
            raise UserError(f"--preset {preset}: no such preset; expected one of {', '.join(PRESETS)}")
        values = dict(PRESETS[preset])
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise UserError(f"--set {setting}: expected key=value")
            if key not in cls.model_fields:
                raise UserError(f"--set {setting}: no such key; expected one of {', '.join(cls.model_fields)}")
            values[key] = None if value.lower() == "none" else value
        return cls.checked(values)

    @classmethod
    def checked(cls, values: dict[str, Any]) -> "TrainingConfig":
        """Settings given as a dictionary; UserError names what is wrong."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise UserError(f"setting {key}: found {first['input']!r}: {first['msg']}") from None
