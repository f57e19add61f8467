"""Asks DVC what it makes of the pipelines below, and writes that as JSON (dvc-resolved.json). To be run by a Python that has DVC."""
import json, os, sys, tempfile
import dvc
from dvc.repo import Repo
from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
from dvc.utils.serialize import load_yaml
from dvc.parsing import DataResolver

CASES = [
    # name, dvc.yaml, other files
    ("a plain stage", "stages:\n  a:\n    cmd: echo hi\n    deps: [x]\n    outs: [y]\n", {}),
    ("params.yaml is there without being named", "stages:\n  a:\n    cmd: echo ${lr} ${model.name}\n", {"params.yaml": "lr: 0.1\nmodel: {name: cnn}\n"}),
    ("numbers", "stages:\n  a:\n    cmd: echo ${a} ${b} ${c} ${d} ${e} ${f} ${g} ${h} ${i} ${j} ${k}\n", {"params.yaml": "a: 1\nb: 1.0\nc: 1e-5\nd: 0.0001\ne: 12345678901234567\nf: 1.5e+20\ng: -0.5\nh: 123456789.25\ni: 0x10\nj: 1.0e+15\nk: -1.0e-10\n"}),
    ("words", "stages:\n  a:\n    cmd: echo ${t} ${f} ${n} ${s} ${y} ${o}\n", {"params.yaml": "t: true\nf: false\nn: null\ns: 'a b'\ny: yes\no: off\n"}),
    ("infinite numbers", "stages:\n  a:\n    cmd: echo ${a} ${b} ${c}\n", {"params.yaml": "a: .inf\nb: -.inf\nc: .nan\n"}),
    ("flags", "stages:\n  a:\n    cmd: run ${m}\n", {"params.yaml": "m: {lr: 0.1, n: 3, on: true, off: false, s: 'a b', q: \"it's\", e: '', p: 'a/b.c', n2: null, l: [1, 'x y', 2.5], el: [], in: {deep: {er: 1}}, f: 1.0}\n"}),
    ("flags of a list of booleans", "stages:\n  a:\n    cmd: run ${m}\n", {"params.yaml": "m: {l: [true, false, null]}\n"}),
    ("flags of an empty map", "stages:\n  a:\n    cmd: run ${m} end\n", {"params.yaml": "m: {}\n"}),
    ("flags that quote", "stages:\n  a:\n    cmd: run ${m}\n", {"params.yaml": "m: {a: '$HOME', b: 'x;y', c: 'é', d: '~', e: 'a=b', f: \"a'b'c\"}\n"}),
    ("flags of a list in a list", "stages:\n  a:\n    cmd: run ${m}\n", {"params.yaml": "m: {l: [[1]]}\n"}),
    ("a list in a command", "stages:\n  a:\n    cmd: run ${l}\n", {"params.yaml": "l: [1, 2]\n"}),
    ("a map outside a command", "stages:\n  a:\n    cmd: run\n    deps: ['x-${m}']\n", {"params.yaml": "m: {a: 1}\n"}),
    ("a map as a whole dependency", "stages:\n  a:\n    cmd: run\n    deps: ['${m}']\n", {"params.yaml": "m: {a: 1}\n"}),
    ("a list of commands", "stages:\n  a:\n    cmd: ['echo ${x}', 'run ${m}']\n", {"params.yaml": "x: 1\nm: {a: 1}\n"}),
    ("dotted names and places in lists", "stages:\n  a:\n    cmd: echo ${a.b.c} ${l[0]} ${l[1].x} ${l.0} ${a[b].c} ${l[-1].x}\n", {"params.yaml": "a: {b: {c: 1}}\nl: [z, {x: 2}]\n"}),
    ("spaces in braces", "stages:\n  a:\n    cmd: echo ${ x } ${a . b}\n", {"params.yaml": "x: 1\na: {b: 2}\n"}),
    ("escapes", "stages:\n  a:\n    cmd: 'echo \\${HOME} ${x} \\${x}'\n", {"params.yaml": "x: 1\n"}),
    ("an escape twice", "stages:\n  a:\n    cmd: 'echo \\\\${x}'\n", {"params.yaml": "x: 1\n"}),
    ("an open brace", "stages:\n  a:\n    cmd: 'echo ${x'\n", {"params.yaml": "x: 1\n"}),
    ("braces in braces", "stages:\n  a:\n    cmd: 'echo ${x ${x}'\n", {"params.yaml": "x: 1\n"}),
    ("the shell's own", "stages:\n  a:\n    cmd: 'echo $HOME $(pwd) {a,b}'\n", {}),
    ("no name", "stages:\n  a:\n    cmd: echo ${}\n", {}),
    ("half a name", "stages:\n  a:\n    cmd: echo ${a.}\n", {"params.yaml": "a: {b: 1}\n"}),
    ("two points", "stages:\n  a:\n    cmd: echo ${a..b}\n", {"params.yaml": "a: {b: 1}\n"}),
    ("an open bracket", "stages:\n  a:\n    cmd: echo ${a[0}\n", {"params.yaml": "a: [1]\n"}),
    ("an unknown name", "stages:\n  a:\n    cmd: echo ${nope}\n", {"params.yaml": "a: 1\n"}),
    ("a name in a value that has none", "stages:\n  a:\n    cmd: echo ${a.b}\n", {"params.yaml": "a: 1\n"}),
    ("a place that a list has not", "stages:\n  a:\n    cmd: echo ${a[3]}\n", {"params.yaml": "a: [1]\n"}),
    ("vars inline", "vars:\n  - x: 1\n  - {y: {z: 2}}\nstages:\n  a:\n    cmd: echo ${x} ${y.z}\n", {}),
    ("vars put together", "vars:\n  - y: {z: 2}\n  - y: {w: 3}\nstages:\n  a:\n    cmd: echo ${y.z} ${y.w}\n", {"params.yaml": "y: {v: 1}\n"}),
    ("vars defined twice", "vars:\n  - y: 1\n  - y: 2\nstages:\n  a:\n    cmd: echo ${y}\n", {}),
    ("vars that params.yaml defines", "vars:\n  - y: 1\nstages:\n  a:\n    cmd: echo ${y}\n", {"params.yaml": "y: 2\n"}),
    ("vars from files", "vars: [a.json, b.toml, c.yaml]\nstages:\n  a:\n    cmd: echo ${x} ${y.z} ${w}\n", {"a.json": "{\"x\": 1}", "b.toml": "[y]\nz = 2.0\n", "c.yaml": "w: c\n"}),
    ("vars, some of a file", "vars: ['a.json:x,y']\nstages:\n  a:\n    cmd: echo ${x} ${y}\n", {"a.json": "{\"x\": 1, \"y\": 2, \"z\": 3}"}),
    ("vars, what was not taken", "vars: ['a.json:x']\nstages:\n  a:\n    cmd: echo ${z}\n", {"a.json": "{\"x\": 1, \"z\": 3}"}),
    ("vars, a key that is not there", "vars: ['a.json:nope']\nstages:\n  a:\n    cmd: echo\n", {"a.json": "{\"x\": 1}"}),
    ("vars, a file that is not there", "vars: [nope.json]\nstages:\n  a:\n    cmd: echo\n", {}),
    ("vars, params.yaml by name", "vars: [params.yaml]\nstages:\n  a:\n    cmd: echo ${x}\n", {"params.yaml": "x: 1\n"}),
    ("vars, part of what is there whole", "vars: ['params.yaml:x']\nstages:\n  a:\n    cmd: echo ${x}\n", {"params.yaml": "x: 1\n"}),
    ("vars, two parts of one file", "vars: ['a.yaml:x', 'a.yaml:y']\nstages:\n  a:\n    cmd: echo ${x} ${y}\n", {"a.yaml": "x: 1\ny: 2\n"}),
    ("vars, one part twice", "vars: ['a.yaml:x', 'a.yaml:x']\nstages:\n  a:\n    cmd: echo ${x}\n", {"a.yaml": "x: 1\ny: 2\n"}),
    ("vars with a template", "vars:\n  - x: 1\n  - y: ${x}\nstages:\n  a:\n    cmd: echo ${y}\n", {}),
    ("vars that are a list", "vars: [l.yaml]\nstages:\n  a:\n    cmd: echo\n", {"l.yaml": "[1, 2]\n"}),
    ("an empty params.yaml", "stages:\n  a:\n    cmd: echo\n", {"params.yaml": ""}),
    ("vars of a stage", "vars:\n  - m: {a: 1}\nstages:\n  a:\n    vars:\n      - m: {b: 2}\n      - s.yaml\n    cmd: echo ${m.a} ${m.b} ${s}\n  b:\n    cmd: echo ${m.a}\n", {"s.yaml": "s: 1\n"}),
    ("vars of a stage are its own", "stages:\n  a:\n    vars:\n      - x: 1\n    cmd: echo ${x}\n  b:\n    cmd: echo ${x}\n", {}),
    ("vars of a stage, defined twice", "vars:\n  - x: 1\nstages:\n  a:\n    vars:\n      - x: 2\n    cmd: echo ${x}\n", {}),
    ("vars of a stage, in its wdir", "stages:\n  a:\n    wdir: sub\n    vars: [s.yaml]\n    cmd: echo ${s}\n", {"sub/s.yaml": "s: 1\n"}),
    ("merge keys and aliases in params.yaml", "stages:\n  a:\n    cmd: echo ${b.x} ${b.y} ${c}\n", {"params.yaml": "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: &c 4\nd: *c\n"}),
    ("templates everywhere", "stages:\n  a:\n    cmd: run\n    wdir: ${w}\n    deps: ['${d}/x']\n    outs:\n      - ${d}/y:\n          cache: false\n    params: ['${p}', {'${d}.yaml': ['${p}']}]\n    metrics: ['${d}.json']\n", {"params.yaml": "w: sub\nd: dir\np: lr\n", "sub/x": ""}),
    ("foreach over a list", "stages:\n  a:\n    foreach: [x, 1, 1.0, true, null, 'a b']\n    do:\n      cmd: echo ${item}\n", {}),
    ("foreach over maps in a list", "stages:\n  a:\n    foreach:\n      - {n: 1}\n      - {n: 2}\n    do:\n      cmd: echo ${item.n}\n", {}),
    ("foreach over a mixed list", "stages:\n  a:\n    foreach: [x, {n: 2}]\n    do:\n      cmd: echo\n", {}),
    ("foreach over a map", "stages:\n  a:\n    foreach: {us: {lr: 1}, uk: {lr: 2}}\n    do:\n      cmd: echo ${key} ${item.lr}\n", {}),
    ("foreach over a name", "stages:\n  a:\n    foreach: ${models}\n    do:\n      cmd: echo ${item}\n      outs: ['m-${item}']\n", {"params.yaml": "models: [a, b]\n"}),
    ("foreach over a name of a map", "stages:\n  a:\n    foreach: ${models}\n    do:\n      cmd: echo ${key} ${item}\n", {"params.yaml": "models: {a: 1, b: 2}\n"}),
    ("foreach with names in a list", "stages:\n  a:\n    foreach: ['${x}', '${y}-z']\n    do:\n      cmd: echo ${item}\n", {"params.yaml": "x: a\ny: 2\n"}),
    ("foreach over one value twice", "stages:\n  a:\n    foreach: [x, y, x]\n    do:\n      cmd: echo ${item}\n", {}),
    ("foreach over nothing", "stages:\n  a:\n    foreach: []\n    do:\n      cmd: echo ${item}\n", {}),
    ("foreach over a number", "stages:\n  a:\n    foreach: ${x}\n    do:\n      cmd: echo ${item}\n", {"params.yaml": "x: 1\n"}),
    ("foreach, key over a list", "stages:\n  a:\n    foreach: [x]\n    do:\n      cmd: echo ${key}\n", {}),
    ("foreach, a flag map for each", "stages:\n  a:\n    foreach: [{lr: 1, on: true}]\n    do:\n      cmd: run ${item}\n", {}),
    ("foreach, where item has a meaning", "vars:\n  - item: 7\nstages:\n  a:\n    foreach: [x]\n    do:\n      cmd: echo ${item}\n  b:\n    cmd: echo ${item}\n", {}),
    ("foreach, where its vars mean item", "stages:\n  a:\n    foreach: [x]\n    do:\n      vars:\n        - item: 7\n      cmd: echo ${item}\n", {}),
    ("foreach over numbers as keys", "stages:\n  a:\n    foreach: {2020: x, 2021: y}\n    do:\n      cmd: echo ${key} ${item}\n", {}),
    ("foreach, vars and wdir of each", "stages:\n  a:\n    foreach: [one, two]\n    do:\n      wdir: ${item}\n      vars: [v.yaml]\n      cmd: echo ${v}\n", {"one/v.yaml": "v: 1\n", "two/v.yaml": "v: 2\n"}),
    ("matrix", "stages:\n  a:\n    matrix:\n      m: [a, b]\n      n: [1, 2.5, true]\n    cmd: echo ${item.m} ${item.n} ${key}\n", {}),
    ("matrix of maps and lists", "stages:\n  a:\n    matrix:\n      m: [{x: 1}, {x: 2}]\n      n: [[1, 2], s]\n    cmd: echo ${item.m.x} ${key}\n", {}),
    ("matrix over names", "stages:\n  a:\n    matrix:\n      m: ${models}\n      n: ['${one}', z]\n    cmd: echo ${item.m} ${item.n}\n", {"params.yaml": "models: [a, b]\none: 1\n"}),
    ("matrix over nothing", "stages:\n  a:\n    matrix:\n      m: [a]\n      n: []\n    cmd: echo\n", {}),
    ("matrix over one value twice", "stages:\n  a:\n    matrix:\n      m: [a, a]\n    cmd: echo ${item.m}\n", {}),
    ("matrix, a flag map", "stages:\n  a:\n    matrix:\n      m: [{lr: 1}]\n      n: [x]\n    cmd: run ${item}\n", {}),
    ("an unknown field", "stages:\n  a:\n    comand: echo\n", {}),
    ("no command", "stages:\n  a:\n    deps: [x]\n", {}),
    ("foreach without do", "stages:\n  a:\n    foreach: [x]\n    cmd: echo\n", {}),
    ("foreach and matrix", "stages:\n  a:\n    foreach: [x]\n    matrix: {a: [1]}\n    do:\n      cmd: echo\n", {}),
    ("a number as a dependency", "stages:\n  a:\n    cmd: echo\n    deps: [1]\n", {}),
    ("options of outputs", "stages:\n  a:\n    cmd: run\n    outs:\n      - a\n      - b: {cache: false, persist: true, push: false, remote: r, desc: d, type: t, labels: [l], meta: {k: v}}\n    metrics:\n      - m.json: {cache: false}\n    plots:\n      - p.csv: {x: a, y: b, template: linear, title: T, x_label: X, y_label: Y}\n    frozen: true\n    always_changed: true\n    desc: text\n    meta: {a: [1]}\n", {}),
    ("a command of several lines", "stages:\n  a:\n    cmd: |\n      echo 1\n      echo 2\n", {}),
    ("a folded command", "stages:\n  a:\n    cmd: >\n      echo 1\n      --two 2\n", {}),
]


def ask(text, files):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Repo.init(no_scm=True)
        for name, content in {**files, "dvc.yaml": text}.items():
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            with open(name, "w") as file:
                file.write(content)
        with Repo() as repo:
            try:
                data = load_yaml("dvc.yaml")
                COMPILED_MULTI_STAGE_SCHEMA(data)
                return DataResolver(repo, folder, data).resolve()
            except Exception as error:
                return {"error": type(error).__name__}
            finally:
                os.chdir("/")


cases = [{"name": name, "yaml": text, "files": files, "dvc": ask(text, files)} for name, text, files in CASES]
with open(sys.argv[1], "w") as file:
    print(json.dumps({"dvc": dvc.__version__, "cases": cases}, indent=2, allow_nan=False), file=file)
