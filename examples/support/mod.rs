//! What the example programs share: their common options, and how files become resources.
#![allow(dead_code, reason = "each program takes what it needs")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use tower_mesh::api::Resources;
use tower_mesh::diagnostic::Diagnostics;
use tower_mesh::mesh::{Mesh, MeshBuilder};
use tower_mesh::rt::Rng;

/// Which rules, and who the client is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Files or folders with Istio YAML
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub(crate) config: Vec<PathBuf>,
    /// The namespace the client is in
    #[arg(long, default_value = "default", value_name = "NS")]
    pub(crate) namespace: String,
    /// Labels the client carries
    #[arg(long, num_args = 1.., value_name = "K=V", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
    /// Where the client is
    #[arg(long, value_name = "REGION/ZONE/SUBZONE")]
    pub(crate) locality: Option<String>,
    /// How many of the client's like there are in each place, for zoneAwareLbSetting
    #[arg(long, num_args = 1.., value_name = "PLACE=N", value_parser = instances)]
    pub(crate) instances: Vec<(String, u32)>,
    /// The network the client is in
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
    /// The gateway to be; a workload of the mesh when absent
    #[arg(long, value_name = "NS/NAME")]
    pub(crate) gateway: Option<String>,
    /// Refuse hosts that nothing declares
    #[arg(long)]
    pub(crate) registry_only: bool,
    /// Take unknown fields, and fields not acted on yet, for warnings
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Roll repeatable dice
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not of the form K=V")),
    }
}

fn instances(text: &str) -> Result<(String, u32), String> {
    let parts = text.rsplit_once('=');
    let parts = parts.and_then(|(place, count)| Some((place.to_owned(), count.parse().ok()?)));
    parts.ok_or_else(|| format!("{text:?} is not of the form PLACE=N"))
}

impl Options {
    /// A builder that knows the client, without rules yet.
    pub(crate) fn builder(&self) -> MeshBuilder {
        let mut builder = Mesh::builder()
            .namespace(&self.namespace)
            .registry_only(self.registry_only)
            .lenient(self.lenient);
        for (key, value) in &self.label {
            builder = builder.label(key, value);
        }
        if let Some(locality) = &self.locality {
            builder = builder.locality(locality);
        }
        for (place, count) in &self.instances {
            builder = builder.instances(place, *count);
        }
        if let Some(network) = &self.network {
            builder = builder.network(network);
        }
        if let Some(gateway) = &self.gateway {
            builder = builder.gateway(gateway);
        }
        if let Some(seed) = self.seed {
            builder = builder.rng(Rng::seeded(seed));
        }
        builder
    }

    /// All resources of all files, in the order of their names.
    pub(crate) fn read(&self) -> std::io::Result<Resources> {
        let mut resources = Resources::new();
        for file in self.files()? {
            let text = std::fs::read_to_string(&file).map_err(|error| naming(&file, &error))?;
            if text.trim().is_empty() {
                // As a file is while it is being written.
                let empty =
                    std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty");
                return Err(naming(&file, &empty));
            }
            resources.append(Resources::from_yaml(&file.display().to_string(), &text));
        }
        Ok(resources)
    }

    /// The files meant: those named, and the YAML and JSON files inside folders.
    pub(crate) fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.config {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path).map_err(|error| naming(path, &error))? {
                let file = entry?.path();
                let extension = file.extension().and_then(|it| it.to_str());
                if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
                    inside.push(file);
                }
            }
            inside.sort();
            files.extend(inside);
        }
        Ok(files)
    }
}

fn naming(path: &Path, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Prints what was found to the standard error.
pub(crate) fn print_diagnostics(found: &Diagnostics) {
    #[allow(clippy::print_stderr, reason = "a program talks to its user")]
    for diagnostic in found {
        let _ = writeln!(std::io::stderr(), "{diagnostic}");
    }
}
