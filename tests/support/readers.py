"""Opens what was written as its users do, and compares it with the JSON Lines. Its first argument is a folder of NN.jsonl, NN.csv and so on;
the others are folders of data sets, each with NAME.train.jsonl and NAME.test.jsonl beside it."""

import csv, gzip, json, math, os, pathlib, sys, tempfile

cache = tempfile.TemporaryDirectory()
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=cache.name)

import datasets, duckdb, pandas, polars, pyarrow.parquet

csv.field_size_limit(1 << 30)
faults = []


def plain(value):
    """A value without what a struct adds: fields that are missing, and arrays of another library."""
    if value is pandas.NA:
        return None
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def same(found, wanted):
    """Whether a cell is the value: as it is, as JSON text, or as what a struct makes of it."""
    if found == wanted and isinstance(found, bool) == isinstance(wanted, bool):
        return True
    if isinstance(found, str) and not isinstance(wanted, str):
        found = json.loads(found)
    elif isinstance(found, str) and found.startswith('"'):
        # The text of a column that holds other values too.
        return json.loads(found) == wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return plain(found) == plain(wanted)


def compare(name, rows, wanted):
    if len(rows) != len(wanted):
        faults.append(f"{name}: {len(rows)} rows, not {len(wanted)}")
        return
    for number, (row, record) in enumerate(zip(rows, wanted)):
        for column in row.keys() | record.keys():
            found, value = plain(row.get(column)), record.get(column)
            if not same(found, value):
                faults.append(f"{name}: row {number}, {column!r}: {str(found)[:80]!r}, not {str(value)[:80]!r}")


def compare_texts(name, rows, wanted):
    """JSON in a cell may be spaced otherwise, and a number written otherwise."""
    if len(rows) != len(wanted):
        faults.append(f"{name}: {len(rows)} rows, not {len(wanted)}")
        return
    for number, (row, record) in enumerate(zip(rows, wanted)):
        for column, found in row.items():
            value, found = record.get(column), "" if found is None else found
            is_same = found == value if isinstance(value, str) else (found == "") if value is None else json.loads(found) == value
            if not is_same:
                faults.append(f"{name}: row {number}, {column!r}: {found[:80]!r}, not {str(value)[:80]!r}")


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


datasets.disable_progress_bars()
folder = pathlib.Path(sys.argv[1])
cases = sorted(folder.glob("*.jsonl"))
for case in cases:
    text = case.read_text(encoding="utf-8")
    wanted = lines(case)
    with gzip.open(f"{case}.gz", "rt", encoding="utf-8", newline="") as unpacked:
        if unpacked.read() != text:
            faults.append(f"{case.name}.gz: other lines")
    for path in (case.with_suffix(".csv"), case.with_suffix(".csv.gz")):
        opened = gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else open(path, encoding="utf-8", newline="")
        with opened:
            compare_texts(f"{path.name} in csv", list(csv.DictReader(opened)), wanted)
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
        compare_texts(f"{path.name} in pandas", frame.to_dict("records"), wanted)
        frame = polars.read_csv(path, infer_schema=False)
        # It leaves quotes in the head doubled.
        frame = frame.rename(lambda name: name.replace('""', '"'))
        compare_texts(f"{path.name} in polars", frame.to_dicts(), wanted)
        table = duckdb.sql(f"select * from read_csv('{path}', all_varchar=true, header=true, delim=',', quote='\"', escape='\"', max_line_size=8000000)")
        compare_texts(f"{path.name} in duckdb", [dict(zip(table.columns, row)) for row in table.fetchall()], wanted)
    path = case.with_suffix(".parquet")
    if path.exists():
        compare(f"{path.name} in pyarrow", pyarrow.parquet.read_table(path).to_pylist(), wanted)
        compare(f"{path.name} in pandas", pandas.read_parquet(path, dtype_backend="pyarrow").to_dict("records"), wanted)
        compare(f"{path.name} in polars", polars.read_parquet(path).to_dicts(), wanted)
        table = duckdb.sql(f"select * from read_parquet('{path}')")
        compare(f"{path.name} in duckdb", [dict(zip(table.columns, row)) for row in table.fetchall()], wanted)

        loaded = datasets.load_dataset("parquet", data_files=str(path), split="train")
        compare(f"{path.name} in datasets", list(loaded), wanted)

for out in sys.argv[2:]:
    loaded = datasets.load_dataset(out)
    if sorted(loaded) != ["test", "train"]:
        faults.append(f"{out}: {sorted(loaded)}")
    for side, rows in loaded.items():
        compare(f"{out}, {side}, in datasets", list(rows), lines(pathlib.Path(f"{out}.{side}.jsonl")))

print("\n".join(faults))
sys.exit(bool(faults) or not cases)
