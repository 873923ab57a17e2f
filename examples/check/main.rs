//! Everything that is wrong, or probably not meant, in a mesh's rules.
//!
//! ```text
//! cargo run --example check -- --config examples/canary/mesh.yaml
//! cargo run --example check -- --config rules/ --namespace shop --json
//! ```
//!
//! The rules are judged as one client sees them: a workload in a namespace with
//! labels, or a gateway. Findings go to the standard output, drawn under the line
//! they speak of or, with `--json`, one object a line; how many there are goes to
//! the standard error. It ends with 0 if nothing is an error, with 1 if anything
//! is, and with 2 if there was nothing to check.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser;
use tower_mesh::api::Resources;
use tower_mesh::diagnostic::{Diagnostics, Renderer, Severity};

use support::Options;

/// Tells what is wrong in Istio YAML: file, line, field, what was found, what is allowed.
#[derive(Debug, Parser)]
#[command(name = "check", version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Print a JSON object for each finding, one a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (resources, renderer) = match read(&arguments.options) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("check: {error}");
            return ExitCode::from(2);
        }
    };
    let found = match arguments.options.builder().resources(resources).build() {
        Ok((_, report)) => report.diagnostics().clone(),
        Err(found) => found,
    };
    match print(&found, &renderer, arguments.json) {
        // Whoever read the output has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            eprintln!("check: {error}");
            return ExitCode::from(2);
        }
        Ok(()) => {}
    }
    let count = |severity| found.iter().filter(|it| it.severity() == severity).count();
    let told: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| match count(severity) {
            0 => None,
            1 => Some(format!("1 {severity}")),
            many => Some(format!("{many} {severity}s")),
        })
        .collect();
    match told.as_slice() {
        [] => eprintln!("check: nothing to complain of"),
        told => eprintln!("check: {}", told.join(", ")),
    }
    match found.has_errors() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// The resources of all files, and what draws their lines.
fn read(options: &Options) -> Result<(Resources, Renderer), Box<dyn Error>> {
    let files = options.files()?;
    if files.is_empty() {
        return Err("there is no .yaml, .yml or .json file to check".into());
    }
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut renderer = Renderer::new().color(color);
    let mut resources = Resources::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.display().to_string();
        resources.append(Resources::from_bytes(&name, &bytes));
        renderer = renderer.source(name, String::from_utf8_lossy(&bytes));
    }
    Ok((resources, renderer))
}

fn print(found: &Diagnostics, renderer: &Renderer, json: bool) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for diagnostic in found {
        if json {
            serde_json::to_writer(&mut out, diagnostic)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}\n", renderer.render(diagnostic))?;
        }
    }
    out.flush()
}
