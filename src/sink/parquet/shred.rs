//! Nested values as flat columns: values with the levels that tell lists, objects and nulls apart.

use parquet::data_type::ByteArray;
use serde_json::Value;

use crate::sink::column_type::{ColumnType, float, integer};

/// What is held back of a column, and of those below it.
pub(super) enum Column {
    Leaf(Leaf),
    List(Box<Column>),
    Struct(Vec<(String, Column)>),
}

#[derive(Default)]
pub(super) struct Levels {
    pub(super) definition: Vec<i16>,
    pub(super) repetition: Vec<i16>,
}

pub(super) struct Leaf {
    pub(super) values: Values,
    pub(super) levels: Levels,
}

pub(super) enum Values {
    Text(Vec<ByteArray>),
    Json(Vec<ByteArray>),
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Boolean(Vec<bool>),
}

/// Where in the columns a value stands.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// How many of what lies above it are there.
    definition: i16,
    /// The level of the list that goes on with it; 0 begins a row.
    repetition: i16,
    /// Lists above it.
    lists: i16,
}

impl Position {
    pub(super) const ROW: Self = Self {
        definition: 0,
        repetition: 0,
        lists: 0,
    };
}

impl Column {
    pub(super) fn new(column: &ColumnType) -> Self {
        let values = match column {
            ColumnType::List(item) => return Self::List(Box::new(Self::new(item))),
            ColumnType::Struct(fields) => {
                let fields = fields.iter();
                return Self::Struct(
                    fields
                        .map(|(name, it)| (name.clone(), Self::new(it)))
                        .collect(),
                );
            }
            ColumnType::Null | ColumnType::Text => Values::Text(Vec::new()),
            ColumnType::Json => Values::Json(Vec::new()),
            ColumnType::Integer => Values::Integer(Vec::new()),
            ColumnType::Float => Values::Float(Vec::new()),
            ColumnType::Boolean => Values::Boolean(Vec::new()),
        };
        Self::Leaf(Leaf {
            values,
            levels: Levels::default(),
        })
    }

    /// Takes a value, and returns how many bytes it takes; `None` where it does not fit.
    pub(super) fn put(&mut self, value: Option<&Value>, at: Position) -> Option<usize> {
        let value = value.filter(|value| !value.is_null());
        let here = Position {
            definition: at.definition + i16::from(value.is_some()),
            ..at
        };
        match (self, value) {
            (Self::Leaf(leaf), value) => {
                leaf.levels.definition.push(here.definition);
                leaf.levels.repetition.push(here.repetition);
                value.map_or(Some(0), |value| leaf.values.push(value))
            }
            (Self::Struct(fields), Some(Value::Object(map))) => {
                if map
                    .keys()
                    .any(|key| fields.iter().all(|(name, _)| name != key))
                {
                    return None;
                }
                let fields = fields.iter_mut();
                fields
                    .map(|(name, field)| field.put(map.get(name), here))
                    .sum()
            }
            (Self::Struct(fields), None) => {
                let fields = fields.iter_mut();
                fields.map(|(_, field)| field.put(None, here)).sum()
            }
            (Self::List(item), Some(Value::Array(items))) if !items.is_empty() => {
                let inside = |first: bool| Position {
                    definition: here.definition + 1,
                    repetition: if first {
                        here.repetition
                    } else {
                        here.lists + 1
                    },
                    lists: here.lists + 1,
                };
                let items = items.iter().enumerate();
                items
                    .map(|(index, it)| item.put(Some(it), inside(index == 0)))
                    .sum()
            }
            (Self::List(item), None | Some(Value::Array(_))) => item.put(None, here),
            _ => None,
        }
    }

    /// Calls with each column that is not nested, in order.
    pub(super) fn each_leaf<E>(
        &mut self,
        visit: &mut impl FnMut(&mut Leaf) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Leaf(leaf) => visit(leaf),
            Self::List(item) => item.each_leaf(visit),
            Self::Struct(fields) => {
                let mut fields = fields.iter_mut();
                fields.try_for_each(|(_, field)| field.each_leaf(visit))
            }
        }
    }
}

impl Values {
    fn push(&mut self, value: &Value) -> Option<usize> {
        match self {
            Self::Text(texts) => texts.push(value.as_str()?.into()),
            Self::Json(texts) => texts.push(value.to_string().into_bytes().into()),
            Self::Integer(values) => values.push(integer(value)?),
            Self::Float(values) => values.push(float(value)?),
            Self::Boolean(values) => values.push(value.as_bool()?),
        }
        Some(match self {
            Self::Text(texts) | Self::Json(texts) => texts.last().map_or(0, ByteArray::len),
            _ => 8,
        })
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Text(texts) | Self::Json(texts) => texts.clear(),
            Self::Integer(values) => values.clear(),
            Self::Float(values) => values.clear(),
            Self::Boolean(values) => values.clear(),
        }
    }
}
