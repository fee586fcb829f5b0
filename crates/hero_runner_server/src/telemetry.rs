//! Traces and metrics over OTLP (HTTP, protobuf), when `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! A span stands for each session that has ended, with its own times; the numbers are those of `GET /metrics`. The
//! variables of the OpenTelemetry specification hold: endpoints and headers for each signal, intervals, samplers,
//! `OTEL_SERVICE_NAME`, `OTEL_SDK_DISABLED`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use api::SessionInfo;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use supervisor::{Ended, Supervisor};

use crate::metrics::named;

/// The variables that turn it on, for all signals and for one.
const ENDPOINTS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];

/// How long the last spans and numbers may take to be sent at the end.
const LAST: Duration = Duration::from_secs(2);

/// Sends traces and metrics until it is closed.
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Starts it where the environment asks for it. It has threads of its own, and has to be called outside of the
    /// server's runtime.
    ///
    /// # Errors
    /// When the environment says something that cannot be, such as an endpoint that is no URL.
    pub fn start() -> Result<Option<Self>> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let disabled =
            std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || !ENDPOINTS.into_iter().any(set) {
            return Ok(None);
        }
        let spans = SpanExporter::builder().with_http().build().context("OTLP traces")?;
        let numbers = MetricExporter::builder().with_http().build().context("OTLP metrics")?;
        let mut resource = Resource::builder();
        if !set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name(api::SERVICE);
        }
        let resource = resource.with_attribute(KeyValue::new("service.version", api::VERSION)).build();
        let traces =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
        let metrics =
            SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(numbers).build();
        Ok(Some(Self { traces, metrics }))
    }

    /// What is told of each session that has ended.
    #[must_use]
    pub fn ended(&self) -> Ended {
        let scope = InstrumentationScope::builder(api::SERVICE).with_version(api::VERSION).build();
        let meter = self.metrics.meter_with_scope(scope.clone());
        let sessions = Sessions {
            tracer: self.traces.tracer_with_scope(scope),
            ended: meter
                .u64_counter("hero_runner.sessions")
                .with_description("Sessions that ended, by module and outcome.")
                .build(),
            duration: meter
                .f64_histogram("hero_runner.session.duration")
                .with_unit("s")
                .with_description("From the start of a session to its end.")
                .build(),
            memory: meter
                .u64_histogram("hero_runner.session.memory")
                .with_unit("By")
                .with_description("The largest resident size of a session's process.")
                .build(),
        };
        Arc::new(move |info| sessions.ended(info))
    }

    /// Shows what the supervisor does now.
    pub fn watch(&self, supervisor: &Supervisor) {
        let meter = self.metrics.meter(api::SERVICE);
        let gauges = [
            ("hero_runner.sessions.running", "Sessions that run."),
            ("hero_runner.sessions.queued", "Sessions that wait for a worker."),
            ("hero_runner.pool.parked_workers", "Workers that stand ready."),
        ];
        for (at, (name, description)) in gauges.into_iter().enumerate() {
            let supervisor = supervisor.clone();
            // The provider keeps the callback.
            let _gauge = meter
                .u64_observable_gauge(name)
                .with_description(description)
                .with_callback(move |observer| observer.observe(supervisor.counts()[at], &[]))
                .build();
        }
    }

    /// Sends what is left, and ends.
    pub fn close(self) {
        for result in [self.traces.shutdown_with_timeout(LAST), self.metrics.shutdown_with_timeout(LAST)] {
            if let Err(error) = result {
                tracing::warn!(%error, "the last traces or metrics were not sent");
            }
        }
    }
}

struct Sessions {
    tracer: SdkTracer,
    ended: Counter<u64>,
    duration: Histogram<f64>,
    memory: Histogram<u64>,
}

impl Sessions {
    fn ended(&self, info: &SessionInfo) {
        let Some(outcome) = &info.outcome else { return };
        let module = KeyValue::new("module", named(&info.module).to_owned());
        let labels = [module.clone(), KeyValue::new("outcome", outcome.name())];
        self.ended.add(1, &labels);
        if let Some(ran) = info.duration_ms {
            self.duration.record(ran.micros as f64 / 1e6, &labels);
        }
        if let Some(kib) = info.max_rss_kb {
            self.memory.record(kib << 10, &labels[..1]);
        }
        let at = |ms: u64| -> SystemTime { UNIX_EPOCH + Duration::from_millis(ms) };
        let begun = at(info.started_at.unwrap_or(info.created_at));
        let over = match info.duration_ms {
            Some(ran) => begun + Duration::from_micros(ran.micros),
            None => info.ended_at.map_or(begun, at),
        };
        let mut span = self
            .tracer
            .span_builder("session")
            .with_kind(SpanKind::Internal)
            .with_start_time(begun)
            .with_attributes([
                module,
                KeyValue::new("hero_runner.session.id", info.session_id.clone()),
                KeyValue::new("hero_runner.session.digest", info.digest.clone()),
                KeyValue::new("hero_runner.session.outcome", outcome.name()),
                KeyValue::new("hero_runner.session.log_lines", info.log_next_seq.cast_signed()),
            ])
            .start(&self.tracer);
        span.set_status(match outcome.is_success() {
            true => Status::Ok,
            false => Status::error(outcome.to_string()),
        });
        span.end_with_timestamp(over);
    }
}
