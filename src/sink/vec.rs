//! Records into a vector.

use async_trait::async_trait;

use super::Sink;
use crate::error::Result;
use crate::record::Record;

/// Keeps a copy of each record. There is nothing to commit: what is in the vector is there at once.
///
/// [`Run::collect`](crate::Run::collect) takes the records themselves and needs no copy.
#[async_trait]
impl<T: Clone + Send + Sync> Sink<T> for Vec<Record<T>> {
    async fn write(&mut self, record: &Record<T>) -> Result<()> {
        self.push(record.clone());
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
