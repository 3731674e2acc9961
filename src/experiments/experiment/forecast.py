"""What a job will take, said before it begins: nothing is fetched, made, loaded or generated."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments import store
from experiments.backends import Backend, Memory
from experiments.environment import machine
from experiments.environment.project import at_hand
from experiments.environment.provenance import provenance
from experiments.errors import StoreError, UserError
from experiments.experiment import estimating, resolving
from experiments.experiment.estimating import Cost, Estimate, Job, Past
from experiments.experiment.measuring import prices, setting
from experiments.experiment.planning import Plan, plan
from experiments.records import Dataset, Generation, Request, Weights
from experiments.sandbox import choose, missing
from experiments.schema import BITS_PER_WEIGHT, Config, ModelConfig, QuantizationConfig
from experiments.store import runs
from experiments.store.files import read_object
from experiments.weights import Decision, Fetch, Here, Make, decide, foresee, read_header
from experiments.weights.levels import TENSOR_TYPES
from experiments.weights.templates import TEMPLATES
from experiments.weights.workload import NUMBERS, workload

log = logging.getLogger(__name__)

FROM_PAST, FROM_MEASURING = "from earlier runs", "from measuring this machine"
FROM_NOTHING, FROM_SERVER = "guessed", "guessed for a usual server"
"""Where hours come from."""

MEASURED_FILE = "machine.json"

ROOM_FACTOR, ROOM_BYTES = 1.2, 64e6
"""As fetching and quantizing ask for room: files are a little larger than nominal."""


@dataclass(frozen=True)
class Forecast:
    """What one job will take.

    Attributes:
        labels: what tells it from its siblings.
        keys: of the generations that it asks for; where the weights are not here, they stand for
            keys that nobody knows yet.
        kept: of the keys, those whose generations are in the store.
        new: how many it will generate: those that neither the store nor a job before it has.
        decision: what has to happen to have the weights; None: it needs none.
        weights: as they will be; None likewise.
        memory: that it takes; None: the model is elsewhere.
        seconds: of generating what is not in the store.
        source: where that comes from.
        usd: price of that; None where there is none.
        parallel: completions at once; None: not known.
        refusals: why a run would end at once.
        warnings: what a run would warn of.
    """

    labels: Mapping[str, str]
    keys: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    new: int = 0
    decision: Decision | None = None
    weights: Weights | None = None
    memory: Memory | None = None
    seconds: Estimate | None = None
    source: str = ""
    usd: Estimate | None = None
    parallel: int | None = None
    refusals: tuple[UserError, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_guessed(self) -> bool:
        """Whether measuring this machine would tell its time better."""
        return self.source == FROM_NOTHING and self.seconds is not None and self.seconds.value > 0


class Forecaster:
    """Foresees the jobs of one sweep; what they share is read once.

    Args:
        outputs: the folder below which runs are.
        measures: measure this machine where no earlier run tells.
    """

    def __init__(self, outputs: Path, measures: bool = False) -> None:
        self._outputs = outputs
        self._measures = measures
        self._read = functools.cache(read_header)
        self._past = functools.cache(functools.partial(earlier, outputs))
        self._cost = functools.cache(self._find_cost)
        self._asked: set[str] = set()

    def forecast(
        self,
        settings: Config,
        make_dataset: Callable[[], Dataset],
        make_backend: Callable[..., Backend],
        *,
        needs_weights: bool,
        overrides: Sequence[str],
    ) -> Forecast:
        """Return what a job will take; the arguments are those of `planning.plan`.

        Raises:
            UserError: a run would refuse this before it knew its problems or its weights.
        """
        decided: list[Decision] = []

        def find(model: ModelConfig, level: QuantizationConfig, folder: Path) -> Weights:
            decided.append(decide(model, level, folder, self._read))
            found = foresee(decided[0], model, level, folder)
            return found if found.sha256 else _stand_in(found)

        planned = plan(
            settings,
            make_dataset,
            make_backend,
            Path(),
            needs_weights=needs_weights,
            overrides=overrides,
            find_weights=find,
        )
        decision = decided[0] if decided else None
        keys = frozenset(request.key for request in planned.requests)
        kept = self._kept(planned, keys)
        there = self._asked | kept.keys()
        new = list({r.key: r for r in planned.requests if r.key not in there}.values())
        self._asked |= keys
        memory, refusals = None, []
        if new:
            try:
                memory = planned.backend.memory(new, planned.sampling)
            except UserError as refusal:
                refusals.append(refusal)
        if memory is not None and memory.refusal is not None:
            refusals.append(memory.refusal)
        warnings = [*(decision.warnings if decision else ()), *_too_long(planned, new)]
        try:
            warnings += filter(None, [missing(choose(settings.sandbox.isolation.value))])
        except UserError as refusal:
            refusals.append(refusal)
        job = self._job(planned, [request.text for request in new], decision)
        past = self._past(planned.labels["model"])
        if not any(map(job.asked_before, past)):  # a run that was stopped left some in the store
            past += tuple(_pasts(planned.labels, kept.values(), job.sha256))
        seconds, source = self._seconds(planned, job, decision, past)
        price = prices(planned.backend)
        return Forecast(
            labels=planned.labels,
            keys=keys,
            kept=frozenset(kept),
            new=len(new),
            decision=decision,
            weights=planned.weights,
            memory=memory,
            seconds=seconds,
            source=source,
            usd=estimating.dollars(job, price, past) if price else None,
            parallel=planned.backend.describe().get("parallel"),
            refusals=tuple(refusals),
            warnings=tuple(warnings),
        )

    def _kept(self, planned: Plan, keys: Collection[str]) -> dict[str, Generation]:
        """Return the generations that are in the store."""
        mode = planned.settings.cache.value
        found = store.GenerationStore(
            at_hand(planned.settings.store), "read" if mode == "on" else mode
        )
        return found.find(keys)

    def _job(self, planned: Plan, texts: Sequence[str], decision: Decision | None) -> Job:
        """Return a job as far as time depends on it."""
        settings, weights = planned.settings, planned.weights
        described = planned.backend.describe()
        lengths = [len(text.encode()) for text in texts]
        shared = _shared_bytes(texts)
        return Job(
            model=planned.labels["model"],
            level=planned.labels["quantization"],
            prompt=planned.labels["prompt"],
            dataset=planned.labels["dataset"],
            sha256=weights.sha256 if weights and isinstance(decision, Here) else "",
            made_on=setting(planned.backend),
            completions=len(lengths),
            prompt_bytes=sum(lengths),
            shared_bytes=shared if weights else 0,
            most_tokens=planned.sampling.max_tokens,
            parallel=described.get("parallel") or described.get("concurrency") or 1,
            kv_values_per_token=weights.kv_values_per_token if weights else 0,
            thinks=resolving.thinks(settings),
        )

    def _seconds(
        self, planned: Plan, job: Job, decision: Decision | None, past: Collection[Past]
    ) -> tuple[Estimate | None, str]:
        """Return the time of a job, None if there is no model, and where it comes from."""
        if known := estimating.remembered(job, past):
            return known, FROM_PAST
        if decision is None:
            has_server = planned.settings.model.api.model is not None
            server = estimating.behind_server(job, past)
            return (server, FROM_SERVER) if has_server else (None, "")
        work = workload(decision, planned.settings.model, planned.settings.quantization)
        threads = int(planned.backend.describe().get("threads") or machine.cores())
        costs = {kind: self._cost(kind, threads) for kind in work.types}
        is_measured = all(cost.is_measured for cost in costs.values())
        time = estimating.modelled(job, work, costs, past)
        return time, FROM_MEASURING if is_measured else FROM_NOTHING

    def _find_cost(self, kind: str, threads: int) -> Cost:
        """Return what weights of one type cost here: measured now or earlier, or a guess."""
        from experiments.backends.llama_cpp import measuring
        from experiments.backends.llama_cpp.build import build

        number = NUMBERS[kind]
        _, block, size = TENSOR_TYPES[number]
        hardware = provenance()["machine"]
        name = f"{hardware['processor']}, {threads} threads, {build()}, {kind}"
        path = self._outputs / "cache" / MEASURED_FILE
        kept = read_object(path)
        if self._measures:
            _warn_of_others()
            tensor = measuring.TensorType(number, kind, block, size)
            cost = measuring.measure(tensor, threads, path.parent)
            kept = read_object(path) | {name: cost}  # another process may have added some
            store.write_text(path, json.dumps(kept, indent=1) + "\n")
        if name not in kept:
            return estimating.usual(8 * size / block, threads)
        return Cost.of(kept[name])


@dataclass(frozen=True)
class NewFile:
    """A file of weights that is not here yet.

    Attributes:
        path: where it is put.
        bytes: its size, nominal; 0 if nobody knows.
        is_made: it is made here; else it is fetched.
        origin: what it is made from, or the repository that it is fetched from.
    """

    path: Path
    bytes: float
    is_made: bool
    origin: str

    @property
    def room(self) -> float:
        """The bytes of disk that have to be free for it."""
        return self.bytes * (ROOM_FACTOR if self.is_made else 1.0)


def new_files(forecasts: Iterable[Forecast]) -> list[NewFile]:
    """Return the files that jobs will fetch or make, each once."""
    found: dict[Path, NewFile] = {}
    for each in forecasts:
        decision, weights = each.decision, each.weights
        if decision is None or weights is None or isinstance(decision, Here):
            continue
        fetched = decision.source if isinstance(decision, Make) else decision
        if isinstance(fetched, Fetch):
            level = BITS_PER_WEIGHT[fetched.level]
            size = weights.parameters * level / 8
            found[fetched.path] = NewFile(fetched.path, size, False, fetched.origin.repository)
        if isinstance(decision, Make):
            source = decision.source.path.name
            found[decision.path] = NewFile(decision.path, weights.bytes, True, source)
    return list(found.values())


def disk(files: Sequence[NewFile], folder: Path) -> tuple[float, float]:
    """Return the bytes that have to be free for new files, and those that are.

    Args:
        files: to be written.
        folder: of weights, which may not be there yet.
    """
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.is_dir())
    needed = sum(file.room for file in files) + (ROOM_BYTES if files else 0.0)
    return needed, float(shutil.disk_usage(there).free)


def earlier(outputs: Path, model: str) -> tuple[Past, ...]:
    """Return the completions of finished runs with a model, each once.

    Args:
        outputs: the folder below which runs are.
        model: its name.
    """
    found: list[Past] = []
    seen: set[str] = set()
    for metrics in sorted(outputs.glob("**/metrics.json")):
        try:
            manifest = runs.read_manifest(metrics.parent)
            labels = manifest["labels"]
            if labels["model"] != model:
                continue
            made = [g for g in runs.read_generations(metrics.parent) if g.key not in seen]
            sha256 = (manifest.get("weights") or {}).get("sha256", "")
            found += _pasts(labels, made, sha256)
        except (StoreError, AttributeError, KeyError, TypeError):
            continue  # of a run that was damaged; it tells nothing
        seen |= {each.key for each in made}
    return estimating.gathered(found)


def _pasts(labels: Mapping[str, str], generations: Iterable[Generation], sha256: str) -> list[Past]:
    """Return completions in sums, apart by where they were made."""
    found: list[Past] = []
    for each in {each.key: each for each in generations}.values():
        is_timed = each.wall_seconds > 0
        found.append(
            Past(
                model=labels["model"],
                level=labels["quantization"],
                prompt=labels["prompt"],
                dataset=labels["dataset"],
                sha256=sha256,
                made_on=each.made_on,
                completions=1,
                prompt_tokens=each.prompt_tokens,
                new_tokens=each.new_tokens,
                seconds=each.wall_seconds,
                timed=int(is_timed),
                timed_tokens=each.new_tokens * is_timed,
            )
        )
    return list(estimating.gathered(found))


def _warn_of_others() -> None:
    """Warn where other programs will slow down what is measured."""
    if (load := os.getloadavg()[0]) > machine.cores() / 2:
        log.warning(
            "This machine is busy (load %.0f): what was measured is slower than it can be. Measure "
            "again when it is quiet.",
            load,
        )


def _too_long(planned: Plan, requests: Iterable[Request]) -> Iterator[str]:
    """Yield a warning where prompts will hardly fit into the context."""
    context = planned.backend.describe().get("context_tokens")
    most = max((len(each.text.encode()) for each in requests), default=0)
    tokens = round(most / estimating.BYTES_PER_TOKEN)
    if context and tokens >= context:
        yield (
            f"The longest prompt has about {tokens} tokens, and the context has room for "
            f"{context}: set backend.context_tokens higher."
        )


def _shared_bytes(texts: Sequence[str]) -> int:
    """Return the length of what all texts begin with."""
    first, last = (min(texts), max(texts)) if texts else ("", "")  # all others are between them
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return len("".join(letter for letter, _ in same).encode())


def _stand_in(weights: Weights) -> Weights:
    """Return weights that make requests, though they and their own template are not here yet."""
    weights = replace(weights, sha256=f"to be at {weights.path}")
    if weights.chat_template or weights.architecture:
        return weights
    return replace(weights, chat_template=TEMPLATES["chatml"], template_source="assumed")
