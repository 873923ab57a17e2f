//! Where the lines of the access log go: a file, or the standard output.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tower_mesh::access_log::{AccessLog, AccessLogEntry};

/// Writes one JSON object a request; clones write to the same place.
#[derive(Clone)]
pub(crate) struct Lines {
    out: Option<Arc<Mutex<Box<dyn Write + Send>>>>,
}

impl Lines {
    /// Opens a file, the standard output for `-`, or nothing.
    pub(crate) fn open(path: Option<&Path>) -> std::io::Result<Self> {
        let out: Option<Box<dyn Write + Send>> = match path {
            None => None,
            Some(path) if path == Path::new("-") => Some(Box::new(std::io::stdout())),
            Some(path) => {
                let file = File::options().create(true).append(true).open(path)?;
                Some(Box::new(LineWriter::new(file)))
            }
        };
        let out = out.map(|out| Arc::new(Mutex::new(out)));
        Ok(Self { out })
    }
}

impl AccessLog for Lines {
    fn is_enabled(&self) -> bool {
        self.out.is_some()
    }

    fn write(&self, entry: &AccessLogEntry) {
        let Some(out) = &self.out else { return };
        // An entry is text and numbers, which JSON can always say.
        let line = serde_json::to_string(entry).unwrap_or_default();
        if let Ok(mut out) = out.lock() {
            // A log that cannot be written must not take the traffic down with it.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}
