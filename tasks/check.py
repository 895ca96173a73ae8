"""Verifying a data set as a consumer would: from the store alone, and the problem that its attributes name."""

import hashlib
import json
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from data.problem import Problem, Variable
from data.registry import problems
from data.sampling import Sampling, Split
from data.validation import InputError, unknown, validated
from kernels.result import Status
from tasks.check_sample import Check, check_parameters, check_residuals
from tasks.contenders import status_code
from tasks.datasets import CERTIFIED, DESCRIBED, RESIDUAL, SOLUTION, STATUS, DataSet, certificate
from tasks.layout import Layout
from tasks.own_systems import OwnSystems
from tasks.places import one_line
from tasks.statistics import moments, store_statistics
from tasks.store import (
    FORMAT_VERSION,
    SHARD_MOMENTS,
    DamagedShardError,
    canonical_digest,
    decode_shard,
    is_intact,
    open_store,
    store_state,
)

SHOWN = 5  # how many culprits a detail names
SAME = 1e-9  # what is computed again on another machine agrees this well, relative to the largest number


class NotADataSetError(InputError):
    """A location that holds no finished data set."""


@dataclass
class Scan:
    """What one pass over all shards finds."""

    damaged: dict[int, str] = field(default_factory=dict)
    moments: list[NDArray[np.float64]] = field(default_factory=list)
    not_finite: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    instances: dict[bytes, list[int]] = field(default_factory=lambda: defaultdict(list))
    unsolved: set[int] = field(default_factory=set)
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=lambda: defaultdict(list))
    sampled: dict[int, dict[str, NDArray[Any]]] = field(default_factory=dict)


def check_data_set(url: str, sample: int, seed: int = 0) -> list[Check]:
    """Verify a data set: everything that can be read, and a random sample of instances that are made again.

    Parameters
    ----------
    url : str
    sample : int
        How many instances are generated again and have their residuals recomputed; at least 1.
    seed : int
        Of their choice.

    Returns
    -------
    list of Check

    Raises
    ------
    NotADataSetError
        If there is no finished data set, or its metadata cannot be read.
    """
    if sample < 1:
        raise InputError(f"sample={sample} is not allowed: it must be at least 1")
    try:
        return _all_checks(url, sample, seed)
    except InputError:
        raise
    except Exception as error:  # whatever Zarr and the checks meet in metadata that says something else than ours
        raise NotADataSetError(f"{url} cannot be checked, its metadata is damaged: {one_line(error)}") from error


def _all_checks(url: str, sample: int, seed: int) -> list[Check]:
    group = _open(url)
    attributes: dict[str, Any] = dict(group.attrs)
    if attributes.get("problem") == OwnSystems.name:
        raise NotADataSetError(
            f"{url} holds solutions of systems of your own, with their residuals; the same `assay solve` with --repair "
            "checks its shards"
        )
    layout = _declared_layout(group)
    data_set, reason = _data_set(attributes)
    problem = data_set.problem if data_set else None
    chosen = np.random.default_rng(seed).choice(layout.count, min(sample, layout.count), replace=False)
    parameters = _parameter_names(problem, layout)
    scan = _scan(url, layout, set(chosen.tolist()), parameters)
    shapes = _check_shapes(layout, problem, attributes)
    checks = [
        Check("problem", data_set is not None, reason),
        _check_identity(attributes),
        _check_metadata(url, group),
        shapes,
        _check_digests(scan, layout),
        _check_finite(scan, parameters),
        _check_statistics(scan, group, layout),
        _check_duplicates(scan),
    ]
    if SOLUTION in group:
        checks.append(_check_certificate(scan, attributes))
    if data_set is None or not shapes.passed:  # nothing to compare the sample with
        return checks
    checks.append(_check_coordinates(group, data_set.problem))
    checks.append(_check_verification(attributes, data_set.problem))
    bits: dict[str, Any] = {name: array.attrs.get("mantissa_bits") for name, array in group.arrays()}
    checks.append(check_parameters(data_set, scan.sampled, bits))
    if SOLUTION in group:
        checks.append(check_residuals(data_set, scan.sampled, bits, _tolerance(attributes)))
    return checks


def _open(url: str) -> zarr.Group:
    state = store_state(url)
    if state != "complete":
        reason = {"absent": "there is nothing", "unfinished": "it is unfinished: run the command that makes it again"}
        raise NotADataSetError(f"{url} is not a data set of Assay: {reason.get(state, 'something else lies there')}")
    group = open_store(url, "r")
    kinds = {"problem": str, "seed": int, "count": int, "shard_size": int, "digest": str, "parameters": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(group.attrs.get(name), kind)]
    if wrong:
        raise NotADataSetError(f"{url} is not a data set of Assay: its attributes lack {', '.join(wrong)}")
    if not any(_is_variable(array) for _, array in group.arrays()) or int(group.attrs["shard_size"]) < 1:  # type: ignore[arg-type]
        raise NotADataSetError(f"{url} is not a data set of Assay: it has no instances")
    if (version := group.attrs.get("format_version")) != FORMAT_VERSION:
        raise NotADataSetError(f"{url} has format version {version}; this version of Assay reads {FORMAT_VERSION}")
    return group


def _declared_layout(group: zarr.Group) -> Layout:
    """The layout that a store says it has; the arrays along ``instance`` are its variables."""
    variables = {}
    for name, array in group.arrays():
        if _is_variable(array):
            variables[name] = Variable(_dimensions(array)[1:], array.shape[1:], "", dtype=str(array.dtype))
    attributes: Mapping[str, Any] = group.attrs
    measured = group[SHARD_MOMENTS].attrs["variables"] if SHARD_MOMENTS in group else ()
    names = tuple(str(name) for name in measured)  # type: ignore[union-attr]
    lengths = [array.shape[0] for name, array in group.arrays() if name in variables]
    return Layout(attributes["digest"], max(lengths), attributes["shard_size"], variables, names)


def _dimensions(array: Any) -> tuple[str, ...]:
    return tuple(array.metadata.dimension_names or ())


def _is_variable(array: Any) -> bool:
    return _dimensions(array)[:1] == ("instance",) and array.shape[0] > 0


def _data_set(attributes: Mapping[str, Any]) -> tuple[DataSet | None, str]:
    """The data set that the attributes describe, without its solver, and its name; or None and why it is unknown."""
    name, parameters, known = attributes["problem"], attributes["parameters"], problems()
    if name not in known:
        return None, str(unknown("problem", name, known))
    kind = known[name]
    if attributes.get("problem_version") != kind.version:
        made = f"made by version {attributes.get('problem_version')} of {name}, this is version {kind.version}"
        return None, f"{made}: check it with commit {attributes.get('git_commit')}"
    try:
        problem = validated(kind, {key: value for key, value in parameters.items() if key in kind.model_fields})
        sampling, split = Sampling(str(attributes.get("sampling"))), Split(str(attributes.get("split")))
    except ValueError as error:
        return None, str(error)
    if attributes["seed"] < 0:
        return None, f"seed={attributes['seed']} is none"
    if problem.model_dump(mode="json") != parameters:
        return None, f"the parameters of {name} are not those of this installation"
    counts = (attributes["seed"], attributes["count"], attributes["shard_size"])
    return DataSet(problem, *counts, sampling=sampling, split=split), name


def _tolerance(attributes: Mapping[str, Any]) -> float:
    """What the solver promised of the relative residual of every instance that it marked as converged."""
    options = attributes.get("solver_options")
    promised = options.get("tolerance") if isinstance(options, Mapping) else None
    return float(promised) if isinstance(promised, int | float) else np.inf


def _parameter_names(problem: Problem | None, layout: Layout) -> list[str]:
    if problem is not None:
        return sorted(problem.variables().keys() & layout.variables.keys())
    return sorted(name for name, variable in layout.variables.items() if variable.shape and name != SOLUTION)


def _scan(url: str, layout: Layout, chosen: set[int], parameters: list[str]) -> Scan:
    scan = Scan()
    for shard in layout.shards:
        try:
            arrays = decode_shard(url, layout, shard)
            if not is_intact(url, layout, shard, arrays):
                scan.damaged[shard] = "differs from what was written"
        except DamagedShardError as error:
            scan.damaged[shard] = str(error.__cause__ or error)
            continue
        if measured := [moments(arrays[name]) for name in layout.measured if name in arrays]:
            scan.moments.append(np.stack(measured))
        first = layout.rows(shard).start
        for name in {STATUS, RESIDUAL} & arrays.keys():
            scan.columns[name].append(arrays[name])
        if STATUS in arrays:
            unsolved = np.flatnonzero(arrays[STATUS] != status_code(Status.CONVERGED))
            scan.unsolved |= set((first + unsolved).tolist())
        for name, values in arrays.items():
            if values.dtype.kind == "f":
                finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
                scan.not_finite[name] += (first + np.flatnonzero(~finite)).tolist()
        for row in range(len(next(iter(arrays.values()), ()))):
            key = hashlib.blake2b(digest_size=16)
            for name in parameters:
                key.update(arrays[name][row].tobytes())
            scan.instances[key.digest()].append(first + row)
            if first + row in chosen:
                scan.sampled[first + row] = {name: values[row] for name, values in arrays.items()}
    return scan


def _check_identity(attributes: Mapping[str, Any]) -> Check:
    found = canonical_digest({name: attributes[name] for name in DESCRIBED if name in attributes})
    if found == attributes["digest"]:
        return Check("identity", True, f"digest {found} is that of problem, parameters, seed, count and solver")
    return Check(
        "identity", False, f"the attributes have digest {found}, not {attributes['digest']}: some were changed"
    )


def _check_metadata(url: str, group: zarr.Group) -> Check:
    """Readers take the consolidated copy of the metadata; it must be that of the arrays themselves."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            copies = dict(zarr.open_consolidated(url).arrays())
    except Exception as error:  # noqa: BLE001 - whatever a reader would meet
        return Check("metadata", False, f"cannot be read: {error}")
    own = dict(group.arrays())
    missing = sorted(copies.keys() ^ own.keys())
    differing = sorted(name for name in own.keys() & copies.keys() if _text(own[name]) != _text(copies[name]))
    if missing or differing:
        return Check("metadata", False, f"arrays missing: {missing}, differing from the consolidated copy: {differing}")
    return Check("metadata", True, f"{len(own)} arrays, as consolidated")


def _text(array: Any) -> str:
    return json.dumps(array.metadata.to_dict(), sort_keys=True, default=str)


def _check_shapes(layout: Layout, problem: Problem | None, attributes: Mapping[str, Any]) -> Check:
    expected: dict[str, Variable] = dict(problem.variables()) if problem else {}
    if problem and "solver" in attributes and (solution := problem.solution()):
        expected |= {SOLUTION: solution, STATUS: Variable((), (), "")}
    count = attributes["count"]
    wrong = [] if layout.count == count else [f"{layout.count} instances, stated are {count}"]
    for name, variable in expected.items():
        stored = layout.variables.get(name)
        if stored is None:
            wrong.append(f"{name} is missing")
        elif (stored.dims, stored.shape) != (variable.dims, variable.shape):
            wrong.append(f"{name} is {stored.dims}{stored.shape}, not {variable.dims}{variable.shape}")
    detail = ", ".join(f"{name} {variable.shape}" for name, variable in layout.variables.items() if variable.shape)
    return Check("shapes", not wrong, "; ".join(wrong) or f"{layout.count} instances: {detail}")


def _check_digests(scan: Scan, layout: Layout) -> Check:
    if not scan.damaged:
        return Check("digests", True, f"all {layout.shard_count} shards are what was written")
    shard, reason = next(iter(scan.damaged.items()))
    detail = f"shards {_named(scan.damaged)} are damaged; shard {shard}: {reason}"
    return Check("digests", False, detail)


def _check_finite(scan: Scan, parameters: list[str]) -> Check:
    """Only what belongs to an unsolved instance may be NaN, and its parameters may not."""
    wrong = {
        name: [i for i in instances if name in parameters or i not in scan.unsolved]
        for name, instances in scan.not_finite.items()
    }
    told = [f"{name} of instances {_named(culprits)} is not finite" for name, culprits in wrong.items() if culprits]
    return Check("finite", not told, "; ".join(told) or "no NaN and no infinity in what is solved")


def _check_certificate(scan: Scan, attributes: Mapping[str, Any]) -> Check:
    """What the attributes promise of all instances."""
    if scan.damaged or STATUS not in scan.columns:
        return Check("certificate", False, "not verified, as shards are damaged")
    promised = certificate({name: np.concatenate(columns) for name, columns in scan.columns.items()})
    stated = {name: attributes.get(name) for name in CERTIFIED}
    wrong = [
        f"{name} is {promised.get(name)}, stated is {value}"
        for name, value in stated.items()
        if value != promised.get(name)
    ]
    converged = np.concatenate(scan.columns[STATUS]) == status_code(Status.CONVERGED)
    residuals = np.concatenate(scan.columns.get(RESIDUAL, [np.zeros(converged.size)]))
    if excess := np.flatnonzero(converged & (residuals > _tolerance(attributes))).tolist():
        wrong.append(
            f"instances {_named(excess)} are marked as converged above the tolerance {_tolerance(attributes):.0e}"
        )
    return Check("certificate", not wrong, "; ".join(wrong or [f"{k} = {v:.3g}" for k, v in promised.items()]))


def _check_statistics(scan: Scan, group: zarr.Group, layout: Layout) -> Check:
    if scan.damaged or any(name not in group for name in layout.measured):
        return Check("statistics", False, "not verified, as shards are damaged")
    wrong = []
    for name, statistics in store_statistics(layout.measured, np.stack(scan.moments)).items():
        stated = group[name].attrs
        scale = max(map(abs, statistics.get("actual_range", [0.0])))
        for key, value in statistics.items():
            if key not in stated or not np.allclose(stated[key], value, rtol=SAME, atol=SAME * scale):  # type: ignore[arg-type]
                wrong.append(f"{key} of {name} is {value}, stated is {stated.get(key)}")
    return Check("statistics", not wrong, "; ".join(wrong[:SHOWN]) or f"of {', '.join(layout.measured)} as stated")


def _check_duplicates(scan: Scan) -> Check:
    twins = [instances for instances in scan.instances.values() if len(instances) > 1]
    detail = "; ".join(f"instances {_named(instances)} have the same parameters" for instances in twins[:SHOWN])
    return Check("duplicates", not twins, detail or f"{len(scan.instances)} different instances")


def _check_coordinates(group: zarr.Group, problem: Problem) -> Check:
    wrong = []
    expected = {name: values for name, values in problem.coordinates().items() if name in group or values.ndim == 1}
    for name, values in expected.items():
        try:
            stored = np.asarray(group[name][:])  # type: ignore[index]
        except Exception as error:  # noqa: BLE001 - missing or damaged, whatever the codec raises
            wrong.append(f"{name} cannot be read ({error})")
            continue
        if stored.shape != values.shape or not np.allclose(stored, values, rtol=SAME, atol=SAME):
            wrong.append(f"{name} is not that of the problem")
    return Check("coordinates", not wrong, "; ".join(wrong) or ", ".join(expected) or "there are none")


def _check_verification(attributes: Mapping[str, Any], problem: Problem) -> Check:
    """The evidence that the generator is right, such as its order of convergence, computed again."""
    evidence = problem.verification()
    wrong = [
        f"{key} is {value:.6g}, stated is {attributes.get(key)}"
        for key, value in evidence.items()
        if not (isinstance(stated := attributes.get(key), float) and np.isclose(stated, value, rtol=1e-6))
    ]
    told = [f"{key} = {value:.3g}" for key, value in evidence.items()]
    return Check("verification", not wrong, "; ".join(wrong or told) or "the problem states none")


def _named(instances: Iterable[int]) -> str:
    """The first few numbers, and how many more there are."""
    numbers = list(instances)
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(map(str, numbers[:SHOWN])) + more
