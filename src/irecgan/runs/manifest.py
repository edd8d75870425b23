"""``run.json``: what a run directory holds and how it came about."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from irecgan.errors import UserError
from irecgan.files import read_json, write_json
from irecgan.models.networks import Deployed
from irecgan.models.recurrent import Size
from irecgan.models.rewards import RewardLaw
from irecgan.models.user import Stop

FORMAT = 1
MANIFEST = "run.json"
BEGUN = "training.json"
"""What a training that is under way began with; gone when it is finished."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, path: Path, fields: Any) -> Self:
        """The record of ``fields``, which were read from ``path``. Raises UserError naming the first wrong one."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            place = "".join(f"{field}: " for field in first["loc"])
            raise UserError(f"{path}: {place}{first['msg'].removeprefix('Value error, ')}") from None


class Origin(_Record):
    """What decides every weight of a run: two runs of one origin are equal bit for bit on one machine."""

    recipe: str
    seed: int
    settings: dict[str, Any]
    log: str  # digest of the encoded sessions
    device: str = "cpu"  # of torch, on which it was trained
    processes: int = 1  # that trained together


class Candidate(_Record):
    """A recipe that was considered, and what it was found to be worth before the choice."""

    name: str
    learned: str  # the recipe whose objective was learned in its name
    estimate: float | None  # None: it could not be fitted, for the reason that ``note`` gives
    error: float | None = None  # standard error of the estimate
    off_policy: float | None = None  # by importance weights, where the log has propensities
    seconds: float = 0.0  # of a processor, to fit it
    note: str = ""


class Decision(_Record):
    """What a recipe with a choice settled on, and why."""

    learned: str  # the recipe whose objective was learned
    reason: str
    figures: dict[str, float]
    candidates: tuple[Candidate, ...] = ()  # of a recipe that chooses


class Manifest(_Record):
    """The contents of ``run.json``, which is written last: a directory without it is no run."""

    format: int
    irecgan: str  # the version that wrote it
    origin: Origin
    deploys: Deployed
    size: Size
    stop: Stop
    reward_law: RewardLaw
    slate_size: Annotated[int, Field(ge=1)]
    final_slates: bool
    files: dict[str, str]  # name -> sha256
    decision: Decision | None = None  # of recipes that have a choice

    @model_validator(mode="after")
    def _has_sizes(self) -> Self:
        numbers = {name: n for name, n in vars(self.size).items() if isinstance(n, int)}
        wrong = {f"size.{name}": n for name, n in numbers.items() if n < 1}
        if wrong:
            raise ValueError(f"found {wrong}; expected at least 1")
        return self

    def write(self, directory: Path) -> None:
        """Write ``run.json``."""
        write_json(directory / MANIFEST, self.model_dump(mode="json"))

    @classmethod
    def read(cls, directory: Path) -> "Manifest":
        """Read ``run.json``; UserError when it is missing, damaged or of another format."""
        path = directory / MANIFEST
        if not path.exists():
            raise UserError(f"{directory}: not a run: it has no {MANIFEST}; expected the --out of a finished training")
        fields = read_json(path)
        found = fields.get("format") if isinstance(fields, dict) else None
        if isinstance(found, bool) or found != FORMAT:
            raise UserError(f"{path}: found format {found!r}; this version of irecgan reads format {FORMAT}")
        return cls.parse(path, fields)
