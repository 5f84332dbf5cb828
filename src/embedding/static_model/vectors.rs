//! The vectors of a static model, one for each token.

use std::ops::Range;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How model2vec and sentence-transformers name the table.
const TABLES: [&str; 2] = ["embeddings", "embedding.weight"];

/// A table of vectors, held as its file has it.
pub(super) struct TokenVectors {
    file: Vec<u8>,
    table: Range<usize>,
    dtype: Dtype,
    dimensions: usize,
    rows: usize,
    /// The row of each token, where tokens share rows.
    mapping: Option<Vec<u32>>,
    /// What each token counts.
    weights: Option<Vec<f32>>,
    /// How long a row is, as a root mean square.
    usual_length: f32,
}

impl TokenVectors {
    /// Reads a `.safetensors` file, or says what is wrong with it and what to do.
    pub(super) fn of(file: Vec<u8>) -> Result<Self, String> {
        let (header, tensors) = SafeTensors::read_metadata(&file).map_err(|error| {
            format!("this is no whole `.safetensors` file: {error}; copy it again")
        })?;
        // Behind eight bytes for the length of the header.
        let start = 8 + header;
        let place = |tensor: &TensorInfo| {
            let (from, to) = tensor.data_offsets;
            start + from..start + to
        };
        let name = TABLES.into_iter().find(|name| tensors.info(name).is_some());
        let Some((name, table)) = name.and_then(|name| Some((name, tensors.info(name)?))) else {
            return Err(format!(
                "there is no tensor `{}` or `{}` in it but {}; take a static model, as model2vec and sentence-transformers write them",
                TABLES[0],
                TABLES[1],
                names(&tensors),
            ));
        };
        let [rows, dimensions] = table.shape[..] else {
            return Err(format!(
                "`{name}` has {} dimensions, not rows and columns; take a static model",
                table.shape.len()
            ));
        };
        if rows == 0 || dimensions == 0 {
            return Err(format!("`{name}` is empty; copy the file again"));
        }
        check_type(name, table.dtype)?;
        let list = |name: &str| {
            tensors
                .info(name)
                .map(|tensor| (tensor, &file[place(tensor)]))
        };
        let mapping = list("mapping").map(|(tensor, bytes)| rows_of(tensor.dtype, bytes, rows));
        let mapping = mapping.transpose()?;
        let tokens = mapping.as_ref().map_or(rows, Vec::len);
        let weights = list("weights").map(|(tensor, bytes)| {
            check_type("weights", tensor.dtype)?;
            let weights: Vec<f32> = numbers(tensor.dtype, bytes).collect();
            if weights.len() == tokens {
                Ok(weights)
            } else {
                Err(format!(
                    "there are {} weights for {tokens} tokens; copy the file again",
                    weights.len()
                ))
            }
        });
        let weights = weights.transpose()?;
        let mut vectors = Self {
            usual_length: 0.0,
            table: place(table),
            dtype: table.dtype,
            dimensions,
            rows,
            mapping,
            weights,
            file,
        };
        let weights = vectors.weights.iter().flatten();
        let all = numbers(vectors.dtype, &vectors.file[vectors.table.clone()]);
        let squares: f64 = all.map(|x| f64::from(x) * f64::from(x)).sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        // It need not be exact.
        {
            vectors.usual_length = (squares / rows as f64).sqrt() as f32;
        }
        if vectors.usual_length.is_finite() && weights.copied().all(f32::is_finite) {
            Ok(vectors)
        } else {
            Err("some of its numbers are not finite; copy the file again".to_owned())
        }
    }

    /// Returns how many tokens there are vectors for.
    pub(super) fn tokens(&self) -> usize {
        self.mapping.as_ref().map_or(self.rows, Vec::len)
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Adds the vector of a token, if there is one, times what it counts.
    pub(super) fn add(&self, token: u32, sum: &mut [f32]) {
        let token = token as usize;
        if token >= self.tokens() {
            return;
        }
        let row = self
            .mapping
            .as_ref()
            .map_or(token, |rows| rows[token] as usize);
        let weight = self.weights.as_ref().map_or(1.0, |weights| weights[token]);
        let bytes = self.table.len() / self.rows;
        let from = self.table.start + row * bytes;
        for (sum, x) in sum
            .iter_mut()
            .zip(numbers(self.dtype, &self.file[from..from + bytes]))
        {
            *sum += weight * x;
        }
    }

    /// Adds a vector for what the vocabulary lacks: as long as others are, and in a direction of its own.
    ///
    /// Without it, texts of a script that a model does not know would be alike for the question mark that it knows.
    pub(super) fn add_unknown(&self, text: &str, sum: &mut [f32]) {
        #[allow(clippy::cast_precision_loss)] // Some hundred.
        let each = self.usual_length / (self.dimensions as f32).sqrt();
        for (sum, sign) in sum.iter_mut().zip(drawn(text, self.dimensions)) {
            *sum += each * sign;
        }
    }
}

/// Draws a direction by the hash of a text.
fn drawn(text: &str, dimensions: usize) -> impl Iterator<Item = f32> {
    (0..dimensions as u64).map(move |dimension| {
        let bits = xxh3_64_with_seed(text.as_bytes(), dimension / 64);
        if bits >> (dimension % 64) & 1 == 0 {
            -1.0
        } else {
            1.0
        }
    })
}

fn names(tensors: &Metadata) -> String {
    let names = tensors.offset_keys();
    let names: Vec<String> = names
        .iter()
        .take(3)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

fn check_type(name: &str, dtype: Dtype) -> Result<(), String> {
    match dtype {
        Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::I8 => Ok(()),
        other => Err(format!(
            "`{name}` has numbers of the type {other}, which is not read; save the model as F32, F16 or I8"
        )),
    }
}

/// Reads numbers of a type that was checked.
fn numbers(dtype: Dtype, bytes: &[u8]) -> impl Iterator<Item = f32> {
    let number = move |bytes: &[u8]| match dtype {
        #[allow(clippy::cast_possible_truncation)]
        // What that loses is below what vectors are rounded to.
        Dtype::F64 => bytes.try_into().map_or(f64::NAN, f64::from_le_bytes) as f32,
        Dtype::F32 => bytes.try_into().map_or(f32::NAN, f32::from_le_bytes),
        Dtype::F16 => bytes
            .try_into()
            .map_or(f32::NAN, |bytes| half(u16::from_le_bytes(bytes))),
        _ => bytes
            .try_into()
            .map_or(f32::NAN, |bytes| f32::from(i8::from_le_bytes(bytes))),
    };
    bytes.chunks_exact((dtype.bitsize() / 8).max(1)).map(number)
}

/// Widens a number of 16 bits.
pub(super) fn half(bits: u16) -> f32 {
    if bits & 0x7c00 == 0x7c00 {
        return f32::NAN;
    }
    // With the exponent where 32 bits have it, and 112 less than they would have there.
    let widened = u32::from(bits & 0x7fff) << 13 | u32::from(bits & 0x8000) << 16;
    f32::from_bits(widened) * f32::from_bits((127 + 112) << 23)
}

/// Reads the row of each token, all of which have to be there.
fn rows_of(dtype: Dtype, bytes: &[u8], rows: usize) -> Result<Vec<u32>, String> {
    let width = match dtype {
        Dtype::I64 => 8,
        Dtype::I32 => 4,
        other => {
            return Err(format!(
                "`mapping` has numbers of the type {other}; save it as I64 or I32"
            ));
        }
    };
    let row = |bytes: &[u8]| {
        let row = match dtype {
            Dtype::I32 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            _ => i64::from_le_bytes(bytes.try_into().ok()?),
        };
        let row = u32::try_from(row).ok();
        row.filter(|row| (*row as usize) < rows)
    };
    let mapping: Option<Vec<u32>> = bytes.chunks_exact(width).map(row).collect();
    mapping.ok_or_else(|| {
        format!(
            "`mapping` names rows that are not among the {rows} of the table; copy the file again"
        )
    })
}
