//! The access log: the mesh's events, as one JSON object a request in a file or on the standard output.

use std::fmt::Debug;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// From now on the mesh's events are written to a file, or to the standard output for `-`.
pub(crate) fn open(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let out: Box<dyn Write + Send> = if path == Path::new("-") {
        Box::new(std::io::stdout())
    } else {
        let file = File::options().create(true).append(true).open(path)?;
        Box::new(LineWriter::new(file))
    };
    let out = Mutex::new(out);
    tracing::subscriber::set_global_default(Lines { out })?;
    Ok(())
}

/// Wants the events of the access log, and no others.
struct Lines {
    out: Mutex<Box<dyn Write + Send>>,
}

impl Subscriber for Lines {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target() == "tower_mesh::access"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        // What an event leaves out is null, as in Istio's log.
        let names = event.metadata().fields().iter();
        let mut line = Line(names.map(|it| (it.to_string(), Value::Null)).collect());
        event.record(&mut line);
        let line = Value::Object(line.0);
        if let Ok(mut out) = self.out.lock() {
            // A log that cannot be written must not take the traffic down with it.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }

    // Spans are none of its business.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The object an event becomes.
struct Line(Map<String, Value>);

impl Line {
    fn set(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}").into());
    }
}
