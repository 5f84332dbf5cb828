import json, resource, sys, time

import pyarrow, pyarrow.csv, pyarrow.json, pyarrow.parquet

pyarrow.set_cpu_count(1)
source, target = sys.argv[1:]
start = time.process_time()
table = pyarrow.json.read_json(source)
if target.endswith(".parquet"):
    pyarrow.parquet.write_table(table, target)
else:
    # It writes no nested values.
    for index, name in reversed(list(enumerate(table.column_names))):
        if pyarrow.types.is_nested(table.schema.field(index).type):
            texts = [json.dumps(value) for value in table.column(index).to_pylist()]
            table = table.set_column(index, name, [texts])
    pyarrow.csv.write_csv(table, target)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
