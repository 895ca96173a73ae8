"""Whatever a user, a form or a damaged file may hold: an answer or one clear line, never a traceback, nothing written.

``make test-fuzz`` draws ASSAY_FUZZ examples of each property instead of the few of ``make test``, new ones every time.
"""

import json
import os
import re
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
import scipy.sparse as sp
import yaml
from click.testing import CliRunner
from data_sets import darcy, generate
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data.registry import problems
from data.validation import InputError
from flows.campaign import run_campaign
from flows.check import check
from flows.cli import main
from flows.data_set_plan import plan_data_sets
from flows.deployments import check_deployment_file
from flows.generate import generate_data_set
from flows.plan import plan_study
from flows.prefect_setup import DEPLOYMENT_FILE
from flows.registry import find_study, study_families
from flows.solve import solve_systems
from flows.solve_plan import plan_solutions
from flows.study import run_study
from tasks.study import Size

MANY = int(os.environ.get("ASSAY_FUZZ", "0"))
FUZZ = settings(
    max_examples=MANY or 60,
    derandomize=not MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
pytestmark = pytest.mark.timeout(max(120, MANY))

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-2, 300), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1)
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
MUTATIONS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)


def answers(request, *arguments, **options):
    """The refusal of a request, which must be one line, or None where it is answered."""
    try:
        request(*arguments, **options)
    except InputError as error:
        refusal = str(error)
    else:
        return None
    assert refusal
    assert "\n" not in refusal
    return refusal


@st.composite
def study_requests(draw):
    study = find_study(draw(st.sampled_from(sorted(study_families()))))
    keys = st.sampled_from(sorted(study.settings.model_fields)) | st.text(max_size=10)
    return study, draw(st.sampled_from(list(Size))), draw(st.dictionaries(keys, VALUES, max_size=3))


@FUZZ
@given(study_requests())
def test_settings_of_studies(tmp_path, request_of_study):
    answers(plan_study, *request_of_study, str(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []


COUNTS = ("count", "valid", "test", "seed", "shard_size", "level", "chunk")


@st.composite
def data_set_requests(draw):
    name = draw(st.sampled_from(sorted(problems())) | st.text(max_size=12))
    fields = sorted(problems()[name].model_fields) if name in problems() else []
    keys = (st.sampled_from(fields) if fields else st.nothing()) | st.text(max_size=8)
    usual = {
        "problem": name, "settings": draw(st.dictionaries(keys, VALUES, max_size=3)), "count": 4, "seed": 0,
        "solver": "auto", "preconditioner": "jacobi", "tolerance": 1e-8, "shard_size": 2, "out": "",
    }  # fmt: skip
    unusual = st.fixed_dictionaries(
        {},
        optional={
            **{
                name: st.integers(-3, 2**40)
                for name in ("count", "valid", "test", "seed", "shard_size", "level", "chunk")
            },
            **{name: st.none() | st.integers(-3, 70) for name in ("solution_bits", "parameter_bits")},
            **{name: st.text(max_size=10) for name in ("solver", "preconditioner", "sampling", "dtype")},
            "tolerance": st.floats(),
            "out": st.text(max_size=10).filter(lambda text: "://" not in text),
        },
    )
    return {**usual, **draw(unusual)}


@FUZZ
@given(data_set_requests())
def test_requests_for_data_sets(tmp_path, request_of_data_set):
    answers(plan_data_sets, **request_of_data_set, root=str(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []


def mutated(content, mutations):
    """Some bytes of a file replaced; one that is replaced by 0 ends it there."""
    changed = bytearray(content)
    for place, value in mutations:
        position = int(place * len(changed))
        if value == 0:
            del changed[position:]
        elif position < len(changed):
            changed[position] = value
    return bytes(changed)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three systems of one pattern as an .npz file."""
    path = tmp_path_factory.mktemp("archive") / "systems.npz"
    matrix = sp.csr_array(sp.diags_array([np.full(5, -1.0), np.full(6, 4.0), np.full(5, -1.0)], offsets=[-1, 0, 1]))
    np.savez(path, data=np.tile(matrix.data, (3, 1)), indices=matrix.indices, indptr=matrix.indptr, rhs=np.ones((3, 6)))
    return path.read_bytes()


@FUZZ
@given(MUTATIONS)
@example([(0.0, 0)])
def test_damaged_files_of_systems(tmp_path, archive, mutations):
    path = tmp_path / "systems.npz"
    path.write_bytes(mutated(archive, mutations))
    answers(
        plan_solutions, systems=str(path), solver="", preconditioner="", tolerance=1e-8, shard_size=2,
        root=str(tmp_path / "store"), out="",
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """A finished data set."""
    url = tmp_path_factory.mktemp("metadata") / "darcy.zarr"
    generate(darcy(), str(url))
    return url


@st.composite
def doctored(draw, document):
    """A JSON document with one value, anywhere in it, replaced or left out."""
    if isinstance(document, dict) and document and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(document)))
        if not draw(st.integers(0, 9)):
            return {name: value for name, value in document.items() if name != key}
        return {**document, key: draw(doctored(document[key]))}
    return draw(VALUES)


@FUZZ
@given(st.data())
def test_doctored_metadata_of_data_sets(tmp_path_factory, data_set, data):
    url = tmp_path_factory.mktemp("doctored") / "darcy.zarr"
    shutil.copytree(data_set, url)
    files = sorted(url.rglob("zarr.json"))
    path = data.draw(st.sampled_from(files))
    changed = data.draw(doctored(json.loads(path.read_text())))
    path.write_text(json.dumps(changed))
    before = sorted(url.rglob("*"))
    answers(check, str(url), 1)
    assert sorted(url.rglob("*")) == before
    shutil.rmtree(url.parent)


@FUZZ
@given(MUTATIONS, st.data())
def test_damaged_files_of_data_sets(tmp_path_factory, data_set, mutations, data):
    url = tmp_path_factory.mktemp("damaged") / "darcy.zarr"
    shutil.copytree(data_set, url)
    path = data.draw(st.sampled_from(sorted(path for path in url.rglob("*") if path.is_file())))
    path.write_bytes(mutated(path.read_bytes(), mutations))
    answers(check, str(url), 1)
    shutil.rmtree(url.parent)


COMMANDS = st.sampled_from(["list", "show", "check", "report", "publish", "reproduce", "nonsense"])
OPTIONS = ["--size", "--set", "--family", "--json", "--dry-run", "--to", "--problems", "--sample"]
WORDS = st.sampled_from(["skr", "compensated-summation", "small", *OPTIONS]) | st.text(max_size=12)


@FUZZ
@given(COMMANDS, st.lists(WORDS, max_size=4))
@example("show", ["skr", "--set", "grid="])
@example("check", [""])
def test_command_lines(tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(main, [command, *words])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), (ended.exception, words)
    assert ended.exit_code in {0, 2}, ended.output
    if ended.exit_code == 2:
        assert ended.output.startswith("assay: ")
        assert ended.output.count("\n") == 1
        assert list(Path(tmp_path).iterdir()) == []


DEPLOYMENTS = yaml.safe_load(DEPLOYMENT_FILE.read_text())


@st.composite
def mutated_yaml(draw):
    return mutated(DEPLOYMENT_FILE.read_bytes(), draw(MUTATIONS))


@FUZZ
@given(doctored(DEPLOYMENTS).map(lambda document: yaml.safe_dump(document).encode()) | mutated_yaml())
@example(b"")
@example(b"deployments: 3")
def test_doctored_deployment_files(tmp_path, content):
    path = tmp_path / "deployment.yaml"
    path.write_bytes(content)
    for problem in check_deployment_file(path):
        assert problem
        assert "\n" not in problem


FLOWS = {"study": run_study, "generate": generate_data_set, "solve": solve_systems, "campaign": run_campaign}


@pytest.fixture(scope="module")
def forms(prefect_api):
    """The addresses at which a server takes the parameters of each flow."""
    identifiers = {name: flow.to_deployment(name="fuzz").apply() for name, flow in FLOWS.items()}
    with httpx.Client(base_url=prefect_api, timeout=60) as client:
        yield client, {name: f"/deployments/{identifier}/create_flow_run" for name, identifier in identifiers.items()}


@st.composite
def forms_filled_in(draw):
    """A flow and parameters of it, some as the form would send them."""
    name = draw(st.sampled_from(sorted(FLOWS)))
    sensible = {"study": "skr", "problem": "darcy-lognormal", "systems": "a.npz", "size": "small", "settings": {}}
    fields = sorted(FLOWS[name].parameters.properties)
    keys = st.sampled_from(fields) | st.text(max_size=8)
    parameters = {key: value for key, value in sensible.items() if key in fields}
    json_values = VALUES.filter(lambda value: not {"NaN", "Infinity"} & set(re.findall(r"\w+", json.dumps(value))))
    return name, {**parameters, **draw(st.dictionaries(keys, json_values, max_size=2))}


@FUZZ
@given(forms_filled_in())
@example(("study", {"study": "nonsense"}))
@example(("generate", {"problem": "darcy-lognormal", "count": -1}))
def test_parameters_sent_to_the_server(tmp_path, forms, form):
    client, addresses = forms
    name, parameters = form
    flow = FLOWS[name]
    # the server says 503 while its database is busy, and Prefect's clients ask again
    answers = (client.post(addresses[name], json={"parameters": parameters}) for _ in range(100))
    answer = next(answer for answer in answers if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE)
    if answer.status_code == httpx.codes.CREATED:
        flow.validate_parameters({key: value for key, value in parameters.items() if key in flow.parameters.properties})
    else:
        assert answer.status_code in {httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY}, answer.text
        assert answer.json()
    assert list(tmp_path.iterdir()) == []
