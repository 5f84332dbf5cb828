//! A small run, and a few tasks of a run in detail.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{Pipeline, PipelineBuilder};
use crate::engine::Extent;
use crate::error::Result;
use crate::input::GenerateByTopicInput;
use crate::preview::{Preview, Recorder};
use crate::run::{Dataset, RunError};

/// The most topics that a dry run looks at: enough to see each kind of trouble, and no more calls than anybody would
/// mind.
const DRY_RUN_TOPICS: usize = 10;

impl Pipeline {
    /// Makes one record of each topic, of ten topics at most, to see whether it all fits together before it costs much.
    ///
    /// It is a run like any other, with the same models, filters, hooks, caps and errors, but the journal is not touched:
    /// neither is anything taken from it, nor does a run that follows know of the records or of what they cost. Where
    /// there are more than ten topics, about half of those looked at are given ones and half are generated; a note of the
    /// report says so. Nothing that a dry run does is kept.
    ///
    /// ```
    /// use topicloom::{GenerateByTopicInput, Pipeline};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let input = GenerateByTopicInput::builder()
    ///     .num_records(5_000)
    ///     .topics(["tides", "currents"])
    ///     .generation_model("offline/loom")
    ///     .build()?;
    /// let pipeline = Pipeline::from_input(&input)?;
    /// assert_eq!(pipeline.dry_run(input).await?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub async fn dry_run<T>(
        &self,
        input: GenerateByTopicInput<T>,
    ) -> Result<Dataset<T>, RunError<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let run = self.run_parts(&input).and_then(|mut parts| {
            parts.plug_ins.journal = None;
            parts.allocation = parts.allocation.sample(DRY_RUN_TOPICS).one_of_each();
            parts.extent = Extent::DryRun;
            self.start(parts)
        });
        match run {
            Ok(run) => run.collect().await,
            Err(error) => Err(RunError::before_start(error)),
        }
    }

    /// Makes a few tasks, one after the other, and returns what a run keeps to itself: the prompts, the answers word for
    /// word, and what became of each record and why.
    ///
    /// Each task is made as a run would make it after those before it, retries included, so prompts show what was
    /// accepted or wrong meanwhile. Of generated topics no more are asked for than there are tasks. The journal is not touched,
    /// and neither observers nor hooks are called.
    ///
    /// **Prompts and record data are in the preview and in what it displays**; they are not in its `Debug` output.
    ///
    /// ```
    /// use topicloom::{GenerateByTopicInput, Pipeline};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let input = GenerateByTopicInput::builder()
    ///     .num_records(5_000)
    ///     .topics(["tides", "currents"])
    ///     .generation_model("offline/loom")
    ///     .build()?;
    /// let preview = Pipeline::from_input(&input)?.preview(input, 3).await?;
    /// println!("{preview}");
    /// assert_eq!(preview.tasks.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where it ends before the first task: what is wrong with the input or the parts, and where no topic could be had. Any
    /// later error is in the preview.
    #[allow(clippy::needless_pass_by_value)] // As `run` and `generate` do.
    pub async fn preview<T>(&self, input: GenerateByTopicInput<T>, tasks: usize) -> Result<Preview>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let recorder = Recorder::default();
        let mut listened = self.clone();
        listened.parts.attach(&recorder);
        let mut parts = listened.run_parts(&input)?;
        parts.plug_ins.journal = None;
        parts.allocation = parts.allocation.sample(tasks);
        parts.extent = Extent::Preview(tasks as u64);
        match listened.start::<T>(parts)?.collect().await {
            Ok(dataset) => recorder.preview(dataset.report().clone(), None),
            Err(ended) => {
                let (error, dataset) = ended.into_parts();
                recorder.preview(dataset.report().clone(), Some(error))
            }
        }
    }
}

impl PipelineBuilder {
    /// Has a preview listen to the models that write records, and to nobody else.
    fn attach(&mut self, recorder: &Recorder) {
        let choices = self.generation.iter_mut().map(|(backend, _)| backend);
        for backend in choices.chain(&mut self.fallbacks) {
            backend.client = recorder.at(Arc::clone(&backend.client));
        }
        self.hooks = recorder.hooks();
        self.observers = vec![recorder.observer()];
    }
}
