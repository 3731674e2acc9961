"""What YAML may say: the dataclasses that Hydra validates `conf/` against.

A misspelled key or a wrong type, in a file or on the command line, is an error that names
the key. Behaviour groups (`backend`, `dataset`) are not here: they carry a `_target_`
whose signature is their schema. `check` holds the ranges, which Hydra does not know.

These classes are not frozen: frozen ones break Hydra's composition. Limits of sampling and of
the sandbox are defined here alone; whoever samples or judges takes these classes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from omegaconf import MISSING

from experiments.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may take.

    Attributes:
        least, most: the bounds, which belong to it; None: there is none.
        above: a lower bound that does not belong to it.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether a number is within the range."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
        )

    def __str__(self) -> str:
        """Return the range as a hint: what to take instead."""
        if self.most is None:
            return f"{self.least} or more" if self.above is None else f"more than {self.above}"
        lower = f"{self.least}" if self.above is None else f"more than {self.above}, up"
        return f"{lower} to {self.most}"


def limited(
    default: Any,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> Any:
    """Return a dataclass field for a number with a range; None is always within it."""
    return field(default=default, metadata={"range": Range(least, most, above)})


def check(settings: Any, prefix: str = "") -> None:
    """Hold all numbers of a configuration against their ranges.

    Args:
        settings: an instance of a class of this module.
        prefix: the dotted name of the block that it is, with a dot behind.

    Raises:
        ConfigError: a number is out of its range; names its key and what to take.
    """
    for each in fields(settings):
        value = getattr(settings, each.name)
        key = f"{prefix}{each.name}"
        if is_dataclass(value):
            check(value, f"{key}.")
        elif value is not None and not each.metadata.get("range", _ANY).holds(value):
            hint = f"Take {each.metadata['range']}."
            raise ConfigError(f"{key}={value} is out of range", hint)


_ANY = Range()


class Isolation(Enum):
    """How programs under test are kept apart from this machine."""

    auto = "auto"
    bubblewrap = "bubblewrap"
    process = "process"


class CacheMode(Enum):
    """What the store of generations is used for."""

    off = "off"
    read = "read"
    on = "on"


class Rerun(Enum):
    """Which jobs of a command that is given again are made: those without a result, or all."""

    missing = "missing"
    all = "all"


class PromptKind(Enum):
    """`chat` for models with a chat template, `completion` for base models."""

    chat = "chat"
    completion = "completion"


class Mode(Enum):
    """How much a model is asked to think before it answers."""

    on = "on"
    off = "off"
    low = "low"
    medium = "medium"
    high = "high"


@dataclass
class ApiConfig:
    """A model behind an OpenAI-compatible server, for `backend=openai`.

    Attributes:
        model: the model's name at the server.
        base_url: address of the server, up to `/v1`.
        key_variable: the environment variable that holds the key. The key itself is in no
            configuration, so that it gets into no log.
        usd_per_million_input, usd_per_million_output: prices of tokens; null: not known.
        omit: fields of the request that it refuses (`temperature`), and so are not sent.
    """

    model: str | None = None
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    omit: list[str] = field(default_factory=list)


@dataclass
class ThinkingConfig:
    """How a model thinks before it answers, where it does.

    Attributes:
        modes: what `thinking=` may ask of it (`on`, `off`, `low`, `medium`, `high`); empty: it
            does not think, or cannot be told whether to.
        default: the mode where nothing is asked; empty: not known.
        argument: the variable of the chat template that the mode is given to:
            `enable_thinking` takes true and false, others take the mode's name.
        switch: text per mode that is added to the last user message instead (`/no_think`).
        open, close: markers of a thought that are not in the table of known ones.
        sampling: what the makers ask for while it thinks; goes before `ModelConfig.sampling`.
    """

    modes: list[str] = field(default_factory=list)
    default: str = ""
    argument: str = ""
    switch: dict[str, str] = field(default_factory=dict)
    open: str = ""
    close: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)


@dataclass
class ModelConfig:
    """A model: where its weights are and what is known of it.

    Attributes:
        name: the model's name in tables.
        file: path of a GGUF on this disk; decides alone where it is set.
        files: file name per quantization, looked for in `models/` and in `repository`;
            `OWNER/NAME:FILE` is one of another repository, `OWNER/NAME@REVISION:FILE` at a commit.
        repository: hub repository (`owner/name`) that the files come from.
        revision: branch, tag or commit of the repository.
        kind: `chat` or `completion`; empty: chat, if there is a chat template, else an error.
        chat_template: Jinja2 source or a name known to `weights.templates`, where the GGUF
            lacks one.
        api: where a server has the model, instead of or beside files.
        kv_values_per_token: numbers kept in the KV cache for one token, for the memory
            needed of a model that is not here yet.
        sampling: what its makers ask for, by the names of `SamplingConfig`; used where the
            question sets nothing else.
        template_arguments: variables for the chat template.
        thinking: how it thinks before it answers.
        licence: the licence of the weights, for people.
        parameters_billion: parameters, in billions.
        active_parameters_billion: parameters that are read for each token, of a mixture of experts.
        context_tokens: the longest context that the model was made for.
        card: address of the model's page.
        ended: the time when a service was shut down and what came after it, told before a key is
            asked for.
        published: pass@1 in percent by data set, with its source, for comparison.
        note: a remark that is shown with every result of this model.
    """

    name: str = MISSING
    file: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    repository: str | None = None
    revision: str = "main"
    kind: PromptKind | None = None
    chat_template: str | None = None
    api: ApiConfig = field(default_factory=ApiConfig)
    kv_values_per_token: int | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    template_arguments: dict[str, Any] = field(default_factory=dict)
    thinking: ThinkingConfig = field(default_factory=ThinkingConfig)
    licence: str = ""
    parameters_billion: float | None = None
    active_parameters_billion: float | None = None
    context_tokens: int | None = None
    card: str = ""
    published: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    note: str = ""


@dataclass
class QuantizationConfig:
    """A level of llama.cpp's quantizer.

    Attributes:
        name: the level as it stands in file names (`q4_k_m`).
        ftype: llama.cpp's name of the level (`MOSTLY_Q4_K_M`).
        bits_per_weight: nominal bits per weight, of a level that `BITS_PER_WEIGHT` has not. The
            measured value is logged with each run.
    """

    name: str = MISSING
    ftype: str = MISSING
    bits_per_weight: float | None = None


BITS_PER_WEIGHT = {
    "f32": 32.0, "f16": 16.0, "bf16": 16.0, "q8_0": 8.5, "q6_k": 6.56, "q5_1": 6.1, "q5_k_m": 5.7,
    "q5_0": 5.6, "q5_k_s": 5.57, "q4_1": 5.1, "q4_k_m": 4.89, "iq4_nl": 4.68, "q4_0": 4.67,
    "q4_k_s": 4.67, "nvfp4": 4.6, "mxfp4_moe": 4.6, "iq4_xs": 4.46, "q3_k_l": 4.3, "q3_k_m": 4.0,
    "iq3_m": 3.76, "iq3_s": 3.66, "q3_k_s": 3.64, "iq3_xs": 3.5, "iq3_xxs": 3.25, "q2_k": 3.16,
    "q2_k_s": 2.97, "iq2_m": 2.93, "iq2_s": 2.74, "iq2_xs": 2.59, "tq2_0": 2.45, "q2_0": 2.4,
    "iq2_xxs": 2.38, "iq1_m": 2.15, "tq1_0": 2.1, "iq1_s": 2.0, "q1_0": 1.4,
}  # fmt: skip
"""Nominal bits per weight, the most first: of a llama of 8 billion parameters, with the tensors
that stay in a finer type (llama.cpp, `tools/quantize/README.md`); of MXFP4, gpt-oss-20b's."""


@dataclass
class PromptConfig:
    """A prompt strategy: Jinja2 templates over a problem.

    Attributes:
        name: the strategy's name in tables.
        system: system message; empty for none.
        user: user message. `problem`, `entry_point` and `examples` are defined.
        completion: the text that a base model goes on from, instead of the messages.
    """

    name: str = MISSING
    system: str = ""
    user: str = ""
    completion: str = "{{ problem.prompt }}"


@dataclass
class SamplingConfig:
    """How tokens are chosen, as far as a question says it.

    Null leaves a setting to what the makers of the model ask for (`ModelConfig.sampling`), and
    else to the default in `Sampling`.

    Attributes:
        samples: generations per problem.
        temperature: weight of chance; 0 is greedy, and the other choices then have no effect.
        max_tokens: the longest generation, in tokens.
        top_k: keep so many of the most likely tokens; 0 keeps all.
        top_p: keep the most likely tokens that have this share together; 1 keeps all.
        min_p: keep tokens with this share of the most likely one's; 0 keeps all.
        repeat_penalty: penalty for tokens that were there already; 1 is none.
    """

    samples: int | None = limited(None, least=1)
    temperature: float | None = limited(None, least=0)
    max_tokens: int | None = limited(None, least=1)
    top_k: int | None = limited(None, least=0)
    top_p: float | None = limited(None, above=0, most=1)
    min_p: float | None = limited(None, least=0, most=1)
    repeat_penalty: float | None = limited(None, above=0)


@dataclass
class Sampling(SamplingConfig):
    """How tokens are chosen in a run; the attributes are those of `SamplingConfig`."""

    samples: int = 1
    temperature: float = 0.0
    max_tokens: int = 1024
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is always taken, so that no seed matters."""
        return self.temperature == 0


@dataclass
class SandboxConfig:
    """Limits of one program under test, and how many are judged at once.

    Attributes:
        workers: programs judged at once; null: one per core.
        isolation: how programs are kept apart from this machine; `auto` takes bubblewrap where it
            works.
        minimum_cpu_seconds: CPU time that each input is allowed at least (EvalPlus: 1).
        reference_factor: an input is allowed this many times the reference's own time, where
            that is more (EvalPlus: 4).
        wall_factor: a program may be idle, over all inputs, for this many times the CPU time
            of one, or this many seconds if that is less: it ends those that sleep.
        memory_megabytes: address space of the program.
        output_megabytes: largest output for one input.
        file_megabytes: largest file that the program may write.
        processes: other processes that it may start, in all; it may have 64 threads.
        load_cpu_seconds: CPU time until the entry point is defined.
        total_cpu_seconds: CPU time for all inputs of a problem (EvalPlus: 60).
        stop_at_first_failure: faster, but the share of passed tests is then unknown.
        rejudge: judge programs anew whose verdicts are kept from earlier runs.
    """

    workers: int | None = limited(None, least=1)
    isolation: Isolation = Isolation.auto
    minimum_cpu_seconds: float = limited(1.0, least=0.01)
    reference_factor: float = limited(4.0, least=1)
    wall_factor: float = limited(5.0, least=1)
    memory_megabytes: int = limited(4096, least=64)
    output_megabytes: int = limited(64, least=1)
    file_megabytes: int = limited(16, least=0)
    processes: int = limited(0, least=0)
    load_cpu_seconds: float = limited(3.0, above=0)
    total_cpu_seconds: float = limited(60.0, above=0)
    stop_at_first_failure: bool = False
    rejudge: bool = False


@dataclass
class TrackingConfig:
    """Where MLflow keeps runs.

    Attributes:
        enabled: false keeps results in the run folder only.
        uri: address of the tracking server or database; null: `MLFLOW_TRACKING_URI`, else a
            database here.
        artifacts: folder of the artifacts of a database, or an address for them; null: MLflow's
            own choice. A server keeps them where it has them.
        experiment: name of the MLflow experiment.
        traces: log each generation as a trace.
    """

    enabled: bool = True
    uri: str | None = None
    artifacts: str | None = "mlruns/artifacts"
    experiment: str = "python-code-generation"
    traces: bool = True


class Question(Enum):
    """What a race asks: who is best, or which of each pair is."""

    best = "best"
    order = "order"


@dataclass
class RaceConfig:
    """How candidates race, for `hydra/sweeper=race`.

    Attributes:
        question: who is best, or the order of each pair.
        alpha: the largest chance that anything that the race claims is wrong.
        margin: a difference in pass@1 that nobody would mind.
        block: problems that each candidate answers between two looks.
        population: true claims what holds for problems like these, false what all problems of
            this data set would show: fewer generations, and luck of the set may decide.
        start, stop: which problems a job answers, in the random order that the seed decides;
            the race sets them. Null: all, in the order of the data set.
    """

    question: Question = Question.best
    alpha: float = limited(0.05, above=0, most=0.5)
    margin: float = limited(0.05, above=0, most=1)
    block: int = limited(20, least=1)
    population: bool = True
    start: int = limited(0, least=0)
    stop: int | None = limited(None, least=1)


@dataclass
class PinnedConfig:
    """What a run is held to: another's `run.yaml` names the files that its result came from.

    Attributes:
        weights: SHA-256 of the GGUF; null: any.
        dataset: SHA-256 of the data set's problems; null: any.
    """

    weights: str | None = None
    dataset: str | None = None


@dataclass
class GradeConfig:
    """A grade of a rubric.

    Attributes:
        name: the grade as it is shown and kept.
        points: what a program of this grade is worth.
        right: whether a program of this grade does what was asked, whatever the tests say.
        meaning: what the grade means, in one line.
    """

    name: str = MISSING
    points: float = limited(MISSING, least=0, most=1)
    right: bool = MISSING
    meaning: str = ""


@dataclass
class RubricConfig:
    """How a person grades programs, in `conf/review/`.

    Attributes:
        name: the rubric's name, as its file's.
        version: a number that is raised when a grade changes its meaning.
        grades: the grades, the best first.
        reasons: tags, any of which may go with a grade.
    """

    name: str = MISSING
    version: int = limited(1, least=1)
    grades: list[GradeConfig] = MISSING
    reasons: list[str] = field(default_factory=list)


@dataclass
class Config:
    """Everything that decides a run.

    Attributes:
        thinking: a mode of `ThinkingConfig.modes`; null: as the model does by itself.
        thinking_budget: most tokens of a thought, which is closed then; null: no such limit.
        limit: take the first N problems; null takes all.
        fidelity: hold the levels of a sweep against the highest, token by token, at its end.
        seed: the seed of the run; each generation has its own, made from it.
        cache: use of the store: `on` takes finished generations from it and adds new ones, `read`
            only takes, `off` does neither.
        rerun: which jobs of a command that is given again are made: `missing` leaves those alone
            that are complete, `all` makes them anew.
        store: folder of finished generations, shared by all runs.
        models: folder of weights.
    """

    model: ModelConfig = MISSING
    quantization: QuantizationConfig = MISSING
    prompt: PromptConfig = MISSING
    dataset: dict[str, Any] = MISSING
    backend: dict[str, Any] = MISSING
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    race: RaceConfig = field(default_factory=RaceConfig)
    pinned: PinnedConfig = field(default_factory=PinnedConfig)
    thinking: Mode | None = None
    thinking_budget: int | None = limited(None, least=1)
    limit: int | None = limited(None, least=1)
    fidelity: bool = False
    seed: int = 0
    cache: CacheMode = CacheMode.on
    rerun: Rerun = Rerun.missing
    store: str = "outputs/store"
    models: str = "models"


def dotted(settings: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of nested blocks, each under its name on the command line."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
