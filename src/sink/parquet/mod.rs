//! Parquet: rows in groups, with a column for each field of the schema.

mod shred;

use std::io::Write;
use std::sync::Arc;

use self::shred::{Column, Leaf, Position, Values};
use super::column_type::ColumnType;
use super::rows::{Encoder, surplus};
use crate::error::{Error, ErrorKind, Result};
use crate::record::JsonRecord;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

/// What is held back before it is written as a group: enough for readers to go through it quickly, and some 50 megabytes with
/// what belongs to it.
const GROUP_BYTES: usize = 16 << 20;
const GROUP_ROWS: usize = 1 << 17;

pub(super) struct Parquet {
    writer: SerializedFileWriter<Box<dyn Write + Send>>,
    columns: Vec<(String, Column)>,
    rows: usize,
    bytes: usize,
}

impl Parquet {
    pub(super) fn new(
        out: Box<dyn Write + Send>,
        names: &[String],
        types: &[ColumnType],
    ) -> Result<Self> {
        let each = names.iter().zip(types);
        let fields = each.clone().map(|(name, column)| field(name, column));
        let root = fields.collect::<Result<Vec<_>, _>>().and_then(|fields| {
            let root = Type::group_type_builder("record").with_fields(fields);
            root.build()
        });
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("topicloom".to_owned())
            .build();
        let writer = root
            .and_then(|root| SerializedFileWriter::new(out, Arc::new(root), Arc::new(properties)));
        Ok(Self {
            writer: writer.map_err(failed)?,
            columns: each
                .map(|(name, it)| (name.clone(), Column::new(it)))
                .collect(),
            rows: 0,
            bytes: 0,
        })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (_, column) in &mut self.columns {
            column.each_leaf(&mut |leaf| {
                let writer = group
                    .next_column()?
                    .expect("each leaf is a column of the file");
                write_leaf(leaf, writer)
            })?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Encoder for Parquet {
    fn row(&mut self, row: &JsonRecord) -> Result<()> {
        let mut known = 0;
        for (name, column) in &mut self.columns {
            let value = row.get(name);
            known += usize::from(value.is_some());
            let Some(bytes) = column.put(value, Position::ROW) else {
                return Err(Error::new(
                    ErrorKind::Sink,
                    "a record has a value that does not fit its column, whose type has to be known before the first record; \
                     write to a file",
                )
                .with_context("field", name.clone()));
            };
            self.bytes += bytes;
        }
        if known < row.len() {
            return Err(surplus("Parquet"));
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group().map_err(failed)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if self.rows > 0 {
            self.write_group().map_err(failed)?;
        }
        self.writer.finish().map(drop).map_err(failed)
    }
}

fn write_leaf(leaf: &mut Leaf, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
    let levels = (
        Some(&*leaf.levels.definition),
        Some(&*leaf.levels.repetition),
    );
    match &leaf.values {
        Values::Text(values) | Values::Json(values) => {
            let writer = writer.typed::<ByteArrayType>();
            writer.write_batch(values, levels.0, levels.1)?;
        }
        Values::Integer(values) => {
            let writer = writer.typed::<Int64Type>();
            writer.write_batch(values, levels.0, levels.1)?;
        }
        Values::Float(values) => {
            let writer = writer.typed::<DoubleType>();
            writer.write_batch(values, levels.0, levels.1)?;
        }
        Values::Boolean(values) => {
            let writer = writer.typed::<BoolType>();
            writer.write_batch(values, levels.0, levels.1)?;
        }
    }
    leaf.values.clear();
    leaf.levels.definition.clear();
    leaf.levels.repetition.clear();
    writer.close()
}

/// Returns how a column stands in the schema of the file. Every value may be null.
fn field(name: &str, column: &ColumnType) -> Result<TypePtr, ParquetError> {
    let leaf = |physical| {
        Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL)
    };
    let group = |fields| {
        Type::group_type_builder(name)
            .with_repetition(Repetition::OPTIONAL)
            .with_fields(fields)
    };
    let built = match column {
        ColumnType::Integer => leaf(Physical::INT64).build(),
        ColumnType::Float => leaf(Physical::DOUBLE).build(),
        ColumnType::Boolean => leaf(Physical::BOOLEAN).build(),
        ColumnType::Null | ColumnType::Text | ColumnType::Json => leaf(Physical::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8)
            .build(),
        ColumnType::List(item) => {
            let items = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![field("element", item)?])
                .build()?;
            group(vec![Arc::new(items)])
                .with_logical_type(Some(LogicalType::List))
                .with_converted_type(ConvertedType::LIST)
                .build()
        }
        ColumnType::Struct(fields) => {
            let fields = fields.iter().map(|(name, it)| field(name, it));
            group(fields.collect::<Result<_, _>>()?).build()
        }
    };
    built.map(Arc::new)
}

fn failed(error: ParquetError) -> Error {
    Error::new(
        ErrorKind::Sink,
        "the output could not be written as Parquet",
    )
    .with_source(error)
}
