//! `--otlp`: spans and metrics to an OpenTelemetry collector.

#[cfg(feature = "otel")]
pub(crate) use exported::{Telemetry, counted};
#[cfg(not(feature = "otel"))]
pub(crate) use missing::{Telemetry, counted};

#[cfg(feature = "otel")]
mod exported {
    use std::fmt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tokio::runtime::Handle;
    use topicloom::llm::providers::http_client_builder;
    use topicloom::{Error, ErrorKind, PipelineBuilder, Result};
    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::registry::LookupSpan;

    /// What is sent to a collector until the command ends.
    pub(crate) struct Telemetry {
        spans: SdkTracerProvider,
        metrics: SdkMeterProvider,
        is_refused: Arc<AtomicBool>,
    }

    impl Telemetry {
        /// Begins to send to the collector at a URL such as `http://localhost:4318`.
        pub(crate) fn to(url: &str) -> Result<Self> {
            let invalid = || {
                let message = "`--otlp` is the URL of a collector that takes OTLP over HTTP, such as http://localhost:4318";
                Error::new(ErrorKind::InvalidInput, message)
            };
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(invalid());
            }
            let http = http_client_builder()
                .timeout(Duration::from_secs(5))
                .build();
            let is_refused = Arc::<AtomicBool>::default();
            let client = Client {
                is_refused: Arc::clone(&is_refused),
                http: http.map_err(|error| invalid().with_source(error))?,
                runtime: Handle::current(),
            };
            let place = |signal: &str| format!("{}/v1/{signal}", url.trim_end_matches('/'));
            let spans = SpanExporter::builder()
                .with_http()
                .with_http_client(client.clone())
                .with_endpoint(place("traces"))
                .build()
                .map_err(|error| invalid().with_source(error))?;
            let metrics = MetricExporter::builder()
                .with_http()
                .with_http_client(client)
                .with_endpoint(place("metrics"))
                .build()
                .map_err(|error| invalid().with_source(error))?;
            let resource = Resource::builder().with_service_name("topicloom").build();
            let metrics = SdkMeterProvider::builder()
                .with_periodic_exporter(metrics)
                .with_resource(resource.clone())
                .build();
            opentelemetry::global::set_meter_provider(metrics.clone());
            Ok(Self {
                spans: SdkTracerProvider::builder()
                    .with_batch_exporter(spans)
                    .with_resource(resource)
                    .build(),
                metrics,
                is_refused,
            })
        }

        /// Returns what passes the spans of this crate on.
        pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
        where
            S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
        {
            let tracer = self.spans.tracer("topicloom");
            let own = Targets::new().with_target("topicloom", tracing::Level::INFO);
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_filter(own)
        }

        /// Sends what is left.
        pub(crate) fn end(self) {
            let ended =
                tokio::task::block_in_place(|| self.spans.shutdown().and(self.metrics.shutdown()));
            if ended.is_err() || self.is_refused.load(Ordering::Relaxed) {
                eprintln!(
                    "warning: the collector that `--otlp` names did not take all spans and metrics"
                );
            }
        }
    }

    /// Counts what happens in a run.
    pub(crate) fn counted(pipeline: PipelineBuilder) -> PipelineBuilder {
        let meter = opentelemetry::global::meter("topicloom");
        pipeline.on_event(topicloom::pipeline::otel_metrics(&meter))
    }

    /// Sends on the command's own runtime: exporters have threads without one.
    #[derive(Clone)]
    struct Client {
        http: reqwest::Client,
        runtime: Handle,
        is_refused: Arc<AtomicBool>,
    }

    impl fmt::Debug for Client {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Client")
        }
    }

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let http = self.http.clone();
            let send = async move {
                let mut response = http.execute(request.try_into()?).await?;
                let mut answer = Response::builder().status(response.status());
                if let Some(headers) = answer.headers_mut() {
                    *headers = std::mem::take(response.headers_mut());
                }
                Ok::<_, HttpError>(answer.body(response.bytes().await?)?)
            };
            let answer = self.runtime.spawn(send).await?;
            if !answer
                .as_ref()
                .is_ok_and(|answer| answer.status().is_success())
            {
                self.is_refused.store(true, Ordering::Relaxed);
            }
            answer
        }
    }
}

#[cfg(not(feature = "otel"))]
mod missing {
    use topicloom::{Error, ErrorKind, PipelineBuilder, Result};
    use tracing_subscriber::layer::Identity;

    pub(crate) enum Telemetry {}

    impl Telemetry {
        pub(crate) fn to(_: &str) -> Result<Self> {
            let message = "this build has no OpenTelemetry: rebuild it with `--features cli,otel`";
            Err(Error::new(ErrorKind::InvalidInput, message))
        }

        pub(crate) fn layer(&self) -> Identity {
            match *self {}
        }

        pub(crate) fn end(self) {
            match self {}
        }
    }

    pub(crate) fn counted(pipeline: PipelineBuilder) -> PipelineBuilder {
        pipeline
    }
}
