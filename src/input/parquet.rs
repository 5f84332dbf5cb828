//! Rows of a Parquet file.

use std::fs::File;

use serde_json::{Map, Value};

/// Rows with their numbers, or what is wrong with the file.
type Rows = Box<dyn Iterator<Item = Result<(u64, Map<String, Value>), String>> + Send>;

#[cfg(not(feature = "parquet"))]
pub(super) fn rows(_: File) -> Result<Rows, String> {
    let problem =
        "names a file of Parquet, and this build reads none: rebuild it with `--features parquet`";
    Err(problem.to_owned())
}

/// Reads rows one after the other.
#[cfg(feature = "parquet")]
pub(super) fn rows(file: File) -> Result<Rows, String> {
    use parquet::basic::{Compression, ConvertedType};
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    let reader = SerializedFileReader::new(file);
    let reader = reader.map_err(|_| "names a file that is no Parquet".to_owned())?;
    let groups = reader.metadata().row_groups().iter();
    for column in groups.flat_map(RowGroupMetaData::columns) {
        let packed = column.compression();
        if !matches!(packed, Compression::UNCOMPRESSED | Compression::SNAPPY) {
            let packed = packed.to_string();
            // Behind it stands its level.
            let packed = packed.split('(').next().unwrap_or_default();
            return Err(format!(
                "names a file of Parquet that is compressed with {packed}, which is not read here: write it with Snappy, or without"
            ));
        }
    }
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let mut odd = columns
        .iter()
        .filter(|column| column.converted_type() == ConvertedType::INTERVAL);
    if let Some(column) = odd.next() {
        let name = column.path().string();
        return Err(format!(
            "names a file of Parquet with a column of intervals, `{name}`"
        ));
    }
    let nanoseconds: Vec<String> = columns
        .iter()
        .filter(|column| values::is_in_nanoseconds(column))
        .map(|column| column.path().string())
        .collect();
    let rows = (1..).zip(reader).map(move |(number, row)| {
        let row = row.map_err(|_| format!("names a file that cannot be read at row {number}"))?;
        let cells = row.into_columns().into_iter().map(|(name, cell)| {
            let value = if nanoseconds.contains(&name) {
                values::of_nanoseconds(cell)
            } else {
                values::value(cell)
            };
            (name, value)
        });
        Ok((number, cells.collect()))
    });
    Ok(Box::new(rows))
}

/// What cells hold, as JSON says it.
#[cfg(feature = "parquet")]
mod values {
    use data_encoding::BASE64;
    use parquet::basic::{LogicalType, TimeUnit};
    use parquet::record::Field;
    use parquet::schema::types::ColumnDescriptor;
    use serde_json::Value;

    /// Whether a column holds times that are given as mere numbers otherwise.
    pub(super) fn is_in_nanoseconds(column: &ColumnDescriptor) -> bool {
        match column.logical_type_ref() {
            Some(LogicalType::Timestamp(of)) => of.unit == TimeUnit::NANOS,
            _ => false,
        }
    }

    pub(super) fn of_nanoseconds(cell: Field) -> Value {
        match cell {
            Field::Long(nanoseconds) => {
                value(Field::TimestampMicros(nanoseconds.div_euclid(1_000)))
            }
            other => value(other),
        }
    }

    pub(super) fn value(cell: Field) -> Value {
        match cell {
            Field::Null => Value::Null,
            Field::Bool(it) => it.into(),
            Field::Byte(it) => it.into(),
            Field::Short(it) => it.into(),
            Field::Int(it) => it.into(),
            Field::Long(it) => it.into(),
            Field::UByte(it) => it.into(),
            Field::UShort(it) => it.into(),
            Field::UInt(it) => it.into(),
            Field::ULong(it) => it.into(),
            // 0.1 is meant, and not the number of twice as many digits that is next to it.
            Field::Float(it) => it.to_string().parse::<f64>().unwrap_or_default().into(),
            Field::Double(it) => it.into(),
            Field::Str(it) => it.into(),
            Field::Bytes(it) => match std::str::from_utf8(it.data()) {
                Ok(text) => text.into(),
                Err(_) => BASE64.encode(it.data()).into(),
            },
            Field::TimestampMillis(_) | Field::TimestampMicros(_) => time(&cell).into(),
            Field::Group(row) => {
                let fields = row.into_columns().into_iter();
                Value::Object(fields.map(|(name, it)| (name, value(it))).collect())
            }
            Field::ListInternal(list) => list.elements().iter().cloned().map(value).collect(),
            Field::MapInternal(map) => {
                let key = |key: &Field| match value(key.clone()) {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                let entries = map.entries().iter();
                Value::Object(
                    entries
                        .map(|(name, it)| (key(name), value(it.clone())))
                        .collect(),
                )
            }
            other => other.to_string().into(),
        }
    }

    /// Writes `2025-03-31T12:00:00.5`, in UTC where the file says that it is.
    fn time(cell: &Field) -> String {
        let written = cell.to_string();
        let mut parts = written.split(' ');
        let (day, time) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        // There is a point, whatever stands behind it.
        let time = time.trim_end_matches('0').trim_end_matches('.');
        format!("{day}T{time}")
    }
}
